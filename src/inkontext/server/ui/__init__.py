"""The page where editing is a conversation. Only `layout.py` and `events.py` import gradio."""
