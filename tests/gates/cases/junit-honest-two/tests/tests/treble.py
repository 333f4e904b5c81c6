import app

assert app.treble(2) == 6
