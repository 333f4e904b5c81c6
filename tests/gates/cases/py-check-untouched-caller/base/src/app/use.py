from app.lib import size

TOTAL: int = size(1)
