package drill

// Expr is a parsed expression over a host's facts, such as
//
//	mode == "webhook" and pending < 100 and not ("blind" in warnings)
type Expr struct{ text string }

// String is the expression as it was written.
func (x Expr) String() string { return x.text }

// Names documents the names that an expression may use.
func Names() []Name { return nil }

// Name is a name that an expression may use.
type Name struct{ Name, Type, Doc string }
