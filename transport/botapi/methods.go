package botapi

import (
	"bytes"
	"context"
	"encoding/json"
	"mime/multipart"
	"net/textproto"
	"regexp"
	"strconv"
	"time"
)

const (
	// MinPageBytes is the least that MaxBytes of [GetUpdates] can be set to, and
	// its default. Telegram caps a page at about 4 MiB (Client.cpp:16305).
	MinPageBytes = 16 << 20
	// pollSlack is what a getUpdates may take beyond its timeout if the caller
	// sets no deadline: a second 409 within 3 s is held back for 3 s
	// (Client.cpp:16238).
	pollSlack = 10 * time.Second
)

// User is the bot, as getMe describes it.
type User struct {
	ID        int64  `json:"id"`
	IsBot     bool   `json:"is_bot"`
	FirstName string `json:"first_name"`
	Username  string `json:"username"`
}

// GetMe asks who the token belongs to.
func (c *Client) GetMe(ctx context.Context) (User, error) {
	var u User
	a, err := c.call(ctx, request{method: "getMe", pool: PoolInfo, retry: c.readRetry})
	if err != nil {
		return User{}, err
	}
	if json.Unmarshal(a.result, &u) != nil || u.ID == 0 {
		return User{}, wrongResult("getMe", a)
	}
	return u, nil
}

// GetUpdates are the parameters of getUpdates.
type GetUpdates struct {
	// Offset is the first update_id to return; everything below it is confirmed,
	// that is deleted. 0: from the head, nothing is confirmed. Negative
	// offsets, which delete all but the last updates, are refused.
	Offset int64
	// Limit is 1 to 100; 0 is Telegram's default, 100.
	Limit int
	// Timeout is how long Telegram may wait for an update, in whole seconds, at
	// most 50.
	Timeout time.Duration
	// AllowedUpdates are the types to get from now on, in both transports. Nil:
	// leave them as they are. Empty: Telegram's default.
	AllowedUpdates []string
	// MaxBytes bounds the answer. Default, and least: [MinPageBytes].
	MaxBytes int64
}

// Page is an answer of getUpdates.
type Page struct {
	// Elements are the exact bytes of each element, in order. They share one
	// array.
	Elements [][]byte
	// Date is the server's clock; zero if it gave none.
	Date time.Time
	// Size is the length of the answer in bytes.
	Size int
}

// GetUpdates polls once. It is never repeated, except at once on a new
// connection if the idle one turned out to be dead.
func (c *Client) GetUpdates(ctx context.Context, p GetUpdates) (Page, error) {
	const op = "getUpdates"
	if p.Offset < 0 {
		return Page{}, refused(op, "a negative offset would delete updates")
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.Timeout+pollSlack)
		defer cancel()
	}
	body := mustJSON(struct {
		Offset         int64    `json:"offset,omitempty"`
		Limit          int      `json:"limit,omitempty"`
		Timeout        int64    `json:"timeout"`
		AllowedUpdates []string `json:"allowed_updates,omitzero"`
	}{p.Offset, p.Limit, int64(p.Timeout / time.Second), p.AllowedUpdates})
	a, err := c.call(ctx, request{method: op, pool: PoolPoll, body: body, contentType: "application/json",
		maxBytes: max(p.MaxBytes, MinPageBytes), split: true})
	if err != nil {
		return Page{Date: a.date}, err
	}
	return Page{Elements: a.elements, Date: a.date, Size: a.size}, nil
}

// SetWebhook are the parameters of setWebhook. Whatever is left out is removed
// or reset by Telegram, but for AllowedUpdates: give the full set each time.
type SetWebhook struct {
	// URL is required: an empty one would delete the webhook.
	URL         string
	SecretToken string
	// IPAddress pins the address, instead of Telegram's look-up.
	IPAddress string
	// MaxConnections is 1 to 100; 0 is Telegram's default, 40.
	MaxConnections int
	// AllowedUpdates are as in [GetUpdates].
	AllowedUpdates []string
	// Certificate, in PEM form, is uploaded as a file and replaces Telegram's
	// trust store for this bot.
	Certificate []byte
	// DropPending deletes all pending updates, even if the call then fails.
	DropPending bool
}

// Result is the answer to setWebhook or deleteWebhook.
type Result struct {
	// Description is the Bot API's text, such as "Webhook was set".
	Description string
	// Date is the server's clock; zero if it gave none.
	Date time.Time
}

// SetWebhook registers a webhook. Success says nothing about whether it can be
// reached. After an error other than a 429 the bot may have no webhook at all.
func (c *Client) SetWebhook(ctx context.Context, p SetWebhook) (Result, error) {
	const op = "setWebhook"
	if p.URL == "" {
		return Result{}, refused(op, "without a URL it would delete the webhook")
	}
	r := request{method: op, pool: PoolControl, secrets: []string{p.SecretToken}}
	if len(p.Certificate) == 0 {
		r.contentType = "application/json"
		r.body = mustJSON(struct {
			URL            string   `json:"url"`
			SecretToken    string   `json:"secret_token,omitempty"`
			IPAddress      string   `json:"ip_address,omitempty"`
			MaxConnections int      `json:"max_connections,omitempty"`
			AllowedUpdates []string `json:"allowed_updates,omitzero"`
			DropPending    bool     `json:"drop_pending_updates,omitempty"`
		}{p.URL, p.SecretToken, p.IPAddress, p.MaxConnections, p.AllowedUpdates, p.DropPending})
	} else {
		r.contentType, r.body = p.multipart()
	}
	return c.change(ctx, r)
}

// multipart is the form with the certificate as a file: as a string it would
// be ignored (Client.cpp:15976).
func (p SetWebhook) multipart() (contentType string, body []byte) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	field := func(name, value string) {
		if value != "" {
			// A bytes.Buffer doesn't fail.
			_ = w.WriteField(name, value)
		}
	}
	field("url", p.URL)
	field("secret_token", p.SecretToken)
	field("ip_address", p.IPAddress)
	if p.MaxConnections != 0 {
		field("max_connections", strconv.Itoa(p.MaxConnections))
	}
	if p.AllowedUpdates != nil {
		field("allowed_updates", string(mustJSON(p.AllowedUpdates)))
	}
	if p.DropPending {
		field("drop_pending_updates", "true")
	}
	part, _ := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="certificate"; filename="certificate.pem"`},
		"Content-Type":        {"application/x-pem-file"},
	})
	_, _ = part.Write(p.Certificate)
	_ = w.Close()
	return w.FormDataContentType(), b.Bytes()
}

// DeleteWebhook removes the webhook. Updates being delivered are cut off and
// come again.
func (c *Client) DeleteWebhook(ctx context.Context, dropPending bool) (Result, error) {
	return c.change(ctx, request{method: "deleteWebhook", pool: PoolControl, contentType: "application/json",
		body: mustJSON(map[string]bool{"drop_pending_updates": dropPending})})
}

func (c *Client) change(ctx context.Context, r request) (Result, error) {
	a, err := c.call(ctx, r)
	if err != nil {
		return Result{Date: a.date}, err
	}
	if string(a.result) != "true" {
		e := wrongResult(r.method, a)
		e.MayHaveHappened = true
		return Result{Date: a.date}, e
	}
	return Result{Description: a.description, Date: a.date}, nil
}

// WebhookInfo is the answer to getWebhookInfo (Client.cpp:5945-5980).
type WebhookInfo struct {
	// URL is empty if no webhook is set. It may be somebody else's: show it
	// through [RedactURL].
	URL                  string
	HasCustomCertificate bool
	// PendingUpdateCount counts what is being delivered and what was fetched but
	// not confirmed, too.
	PendingUpdateCount int
	// IPAddress is empty without a webhook and "<unknown>" before the first
	// look-up.
	IPAddress string
	// LastErrorDate and LastErrorMessage are never cleared by a success, only by
	// a real set, a delete, or a restart of the Bot API server.
	LastErrorDate    time.Time
	LastErrorMessage string
	// LastSynchronizationErrorDate: the Bot API server itself had lost Telegram.
	LastSynchronizationErrorDate time.Time
	MaxConnections               int
	// AllowedUpdates is nil for Telegram's default.
	AllowedUpdates []string
	// Date is the server's clock at the answer; zero if it gave none.
	Date time.Time
}

// GetWebhookInfo asks for the state of the webhook and the queue, in both modes.
func (c *Client) GetWebhookInfo(ctx context.Context) (WebhookInfo, error) {
	a, err := c.call(ctx, request{method: "getWebhookInfo", pool: PoolInfo, retry: c.readRetry})
	if err != nil {
		return WebhookInfo{Date: a.date}, err
	}
	var w struct {
		URL                          *string  `json:"url"`
		HasCustomCertificate         bool     `json:"has_custom_certificate"`
		PendingUpdateCount           int      `json:"pending_update_count"`
		IPAddress                    string   `json:"ip_address"`
		LastErrorDate                int64    `json:"last_error_date"`
		LastErrorMessage             string   `json:"last_error_message"`
		LastSynchronizationErrorDate int64    `json:"last_synchronization_error_date"`
		MaxConnections               int      `json:"max_connections"`
		AllowedUpdates               []string `json:"allowed_updates"`
	}
	// A missing url must not be read as "no webhook".
	if json.Unmarshal(a.result, &w) != nil || w.URL == nil {
		return WebhookInfo{Date: a.date}, wrongResult("getWebhookInfo", a)
	}
	return WebhookInfo{
		URL:                          *w.URL,
		HasCustomCertificate:         w.HasCustomCertificate,
		PendingUpdateCount:           w.PendingUpdateCount,
		IPAddress:                    w.IPAddress,
		LastErrorDate:                unixTime(w.LastErrorDate),
		LastErrorMessage:             c.scrub(w.LastErrorMessage),
		LastSynchronizationErrorDate: unixTime(w.LastSynchronizationErrorDate),
		MaxConnections:               w.MaxConnections,
		AllowedUpdates:               w.AllowedUpdates,
		Date:                         a.date,
	}, nil
}

var methodShape = regexp.MustCompile(`^[A-Za-z]{1,64}$`)

// Call makes any other call. params is encoded as JSON; nil sends none. With a
// retry, a method that changes something may take effect more than once.
func (c *Client) Call(ctx context.Context, p Pool, retry Retry, method string, params any) (json.RawMessage, error) {
	if !methodShape.MatchString(method) || p >= poolCount {
		return nil, refused("call", "not a method name or pool")
	}
	r := request{method: method, pool: p, retry: retry}
	if params != nil {
		b, err := json.Marshal(params)
		if err != nil {
			// The error of json.Marshal may quote what it was given.
			return nil, refused(method, "the parameters can't be encoded")
		}
		r.body, r.contentType = b, "application/json"
	}
	a, err := c.call(ctx, r)
	if err != nil {
		return nil, err
	}
	return a.result, nil
}

// refused is for a call that is not sent.
func refused(op, why string) *Error {
	return &Error{Op: op, Kind: KindBadRequest, Description: why, Phase: PhaseStart}
}

func wrongResult(op string, a answer) *Error {
	return &Error{Op: op, Kind: KindProtocol, Code: 200, Description: "the result has not the expected form", Phase: PhaseBody, Date: a.date, Attempts: 1}
}

func unixTime(s int64) time.Time {
	if s <= 0 {
		return time.Time{}
	}
	return time.Unix(s, 0)
}

// mustJSON encodes values of this package's own types, which can't fail.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("botapi: " + err.Error())
	}
	return b
}
