add() { echo $(($1 + $2)); }
double() { echo $((2 * $1)); }
