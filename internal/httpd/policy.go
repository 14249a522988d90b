package httpd

// PolicyRule is one line of the server's policy: an address and who may use it.
type PolicyRule struct {
	Route string `json:"route"` // as net/http matches it: "GET /watch/{stream...}"
	Who   string `json:"who"`   // for people
	// Action is what the caller must be allowed to do to the stream, or to every stream; "" where no stream is concerned.
	Action string `json:"action,omitempty"`
	// Event is what the audit record calls it; "" for what holds nothing of any stream and is not on record.
	Event string `json:"event,omitempty"`
	// Grants tells that grants are on record too, and not refusals alone.
	Grants bool `json:"grants,omitempty"`
}

// Policy is the table that the server routes by, in its order. What is not in it is not there.
func Policy() []PolicyRule {
	var list []PolicyRule
	for _, r := range routes() {
		list = append(list, PolicyRule{
			Route: r.pattern, Who: r.rule.kind.String(), Action: string(r.rule.action), Event: r.rule.event,
			Grants: r.rule.event != "" && !r.rule.quiet,
		})
	}
	return list
}

// String says for people who is meant.
func (k ruleKind) String() string {
	switch k {
	case rulePublic:
		return "anybody"
	case ruleLogin:
		return "whoever is logged in"
	case ruleStream, ruleSocket:
		return "leave for the stream"
	case ruleServer:
		return "leave for every stream"
	}
	return "nobody"
}
