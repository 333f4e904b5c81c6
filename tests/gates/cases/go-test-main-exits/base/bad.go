package money

// Bad is bad.
var Bad = false
