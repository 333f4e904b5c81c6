package money

func TestDouble( {
