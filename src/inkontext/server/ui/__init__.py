"""The page where editing is a conversation. Gradio is imported by `page.py`, `events.py`, `layout.py`."""
