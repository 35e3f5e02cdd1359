package chaos

import "net/http"

func httpAnswerLost() kind {
	return kind{Info{
		Kind:  "http.answer_lost",
		Layer: "http",
		Unit:  "request",
		Doc: "The handler runs to its end, its answer is thrown away and the connection closed: the update is stored and Telegram sends it again. " +
			"For a reset instead of a plain close see net.reset with at=handler.",
		Params:   requestParams(),
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return behaviour{http: &httpRule{requestMatch(p), func(_ *fault, w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(newUnsent(w), r)
			panic(http.ErrAbortHandler)
		}}}, nil
	}}
}
