package chaos

func deliverySlow() kind {
	return kind{Info{
		Kind:     "delivery.slow",
		Layer:    "delivery",
		Unit:     "delivery",
		Doc:      "The bot takes longer for each update. Never a reason to change the mode.",
		Delay:    "the time added; 0 means 1s",
		Params:   []Param{pointsParam},
		ProdSafe: true,
	}, slowAt(SeamDelivery)}
}
