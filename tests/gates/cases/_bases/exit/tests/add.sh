. src/app.sh
[ "$(add 1 2)" = 3 ]
