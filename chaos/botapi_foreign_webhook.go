package chaos

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

func botapiForeignWebhook() kind {
	return kind{Info{
		Kind:  "botapi.foreign_webhook",
		Layer: "botapi",
		Unit:  "getWebhookInfo",
		Doc: "getWebhookInfo shows a webhook of somebody else's, as after another program with the same token has called setWebhook. Telegram's own " +
			"is left alone, and what it delivers is taken. In polling mode nothing comes in meanwhile, and what Telegram keeps for seconds expires.",
		Params:   []Param{{Name: "url", Doc: "what it shows", Default: "https://somebody-else.invalid/webhook"}},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		url := p.str("url")
		info := func(r *http.Request) bool { return calls(r, "getWebhookInfo") }
		return behaviour{api: &apiRule{info, func(_ *fault, req *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err != nil || resp.StatusCode != http.StatusOK {
				return resp, err
			}
			return resp, foreign(resp, url)
		}}}, nil
	}}
}

// foreign puts another URL into an answer of getWebhookInfo.
func foreign(resp *http.Response, url string) error {
	raw, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return err
	}
	var answer, result map[string]json.RawMessage
	if json.Unmarshal(raw, &answer) == nil && json.Unmarshal(answer["result"], &result) == nil && result != nil {
		result["url"], _ = json.Marshal(url)
		if changed, err := json.Marshal(result); err == nil {
			answer["result"] = changed
			if changed, err = json.Marshal(answer); err == nil {
				raw = changed
			}
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	resp.ContentLength = int64(len(raw))
	resp.Header.Set("Content-Length", strconv.Itoa(len(raw)))
	return nil
}
