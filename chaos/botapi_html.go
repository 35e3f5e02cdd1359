package chaos

import "net/http"

func botapiHTML() kind {
	const page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n" +
		"<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n"
	return kind{Info{
		Kind:     "botapi.html",
		Layer:    "botapi",
		Unit:     "call",
		Doc:      "What stands in front of the Bot API answers 502 with an HTML page instead of JSON.",
		Delay:    "time before the answer",
		Params:   []Param{methodsParam},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return instead(p, func(_ *fault, req *http.Request) (*http.Response, error) {
			return response(req, http.StatusBadGateway, "text/html", page), nil
		}), nil
	}}
}
