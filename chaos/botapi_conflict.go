package chaos

import "net/http"

func botapiConflict() kind {
	return kind{Info{
		Kind:  "botapi.conflict",
		Layer: "botapi",
		Unit:  "call",
		Doc: "The Bot API answers 409 with one of its texts (Client.cpp:15703, 16229, 15754). A second conflict within 3 s is answered 3 s late " +
			"there; use delay for it.",
		Delay: "time before the answer",
		Params: []Param{
			{Name: "text", Doc: "webhook (a webhook is set), poll (another getUpdates), set (a setWebhook ended the poll), other_set (two sets at once)", Default: "webhook"},
			methodsParam,
		},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		texts := map[string]string{
			"webhook":   "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
			"poll":      "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
			"set":       "Conflict: terminated by setWebhook request",
			"other_set": "Conflict: terminated by other setWebhook",
		}
		text := texts[p.oneOf("text", "webhook", "poll", "set", "other_set")]
		return instead(p, func(_ *fault, req *http.Request) (*http.Response, error) {
			return apiError(req, http.StatusConflict, text, 0), nil
		}), nil
	}}
}
