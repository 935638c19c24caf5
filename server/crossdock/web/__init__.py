"""aiohttp.web lives here and in app.py only."""
