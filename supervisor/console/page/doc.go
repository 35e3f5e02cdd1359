// Package page is the status page: what each bot does, why, and what comes next,
// in a browser.
//
// The guarantee: it needs nothing from elsewhere (every byte is in the binary, and
// the content security policy forbids the rest), shows every fact without
// JavaScript, and holds no token, no secret and no message text, because it is made
// of what [console.Status] and the journal hold. What [Page.Observe] serves can't
// change anything. What changes something is served by [Page.Control] only, to
// whoever that listener has let in, never upon another site's request, only after a
// confirmation that shows what will happen, and is in the journal under the name of
// whoever confirmed it.
//
// # Live
//
// The server renders the page in regions. GET /events is a stream of server-sent
// events (https://html.spec.whatwg.org/multipage/server-sent-events.html): hello,
// with all regions, and then patch, with those that have changed, about once a
// second. All clients share one rendering; their number is bounded, and so is what
// waits for one: a client that doesn't keep up is dropped and comes back by itself.
// Nothing is rendered while nobody looks.
package page
