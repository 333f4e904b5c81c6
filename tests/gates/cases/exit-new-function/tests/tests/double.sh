. src/app.sh
[ "$(double 2)" = 4 ]
