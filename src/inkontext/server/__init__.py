"""What answers over HTTP: one app, the page, and the routers that join it."""
