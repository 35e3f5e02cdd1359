package runbooks

// FalseBeliefs is the page about what is often written of webhooks and isn't so, in
// Markdown.
func FalseBeliefs() string {
	text, err := files.ReadFile("false_beliefs.md")
	if err != nil {
		panic("runbooks: " + err.Error()) // it is embedded
	}
	return string(text)
}
