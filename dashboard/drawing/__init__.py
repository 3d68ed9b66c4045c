"""Pictures that the server draws by itself: shapes first, then SVG or PNG of the same shapes."""
