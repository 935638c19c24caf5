"""Every rule finds its mistake, at its file, line and key, and nothing besides."""
