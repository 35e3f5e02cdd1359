// Package telegramsim simulates the Bot API server's update intake: its queue,
// getUpdates, setWebhook and deleteWebhook, and the webhook deliveries that it
// makes, for any number of bots.
//
// It is the judge of what dualgram does: it shares no code with it, keeps the
// real server's rules one by one ([Clauses], each with a test of its number),
// and writes down the truth about every update ([Sim.Truth]): when it was
// pushed, each attempt to deliver it, who acknowledged it and how, or why it was
// never acknowledged.
//
// # Running it
//
// [New] starts a server, [Sim.AddBot] makes a bot known, [Sim.Push] or
// [Traffic] gives it updates. The API is an http.Handler, or [Sim.Serve]s a
// listener. Webhook connections are opened by Options.Dial, so that the whole
// runs over real sockets or in a testing/synctest bubble over an in-memory
// network; in a bubble make the Sim in it and Close it before the end. Timers
// that fall due together carry nanoseconds of their own and fire in the order
// in which they were set.
//
// # Bending it
//
// [Knobs] and [Fault] change the API's behaviour at run time, [Sim.SetHost] the
// names, [Sim.Restart], [Sim.ResetSeries], [Sim.Redeliver],
// [Sim.ForeignPoller] and [Sim.ForeignSetWebhook] are events. Faults of the
// path to the webhook belong to whoever provides Dial or the listener.
// [Sim.ControlHandler] offers the same over HTTP.
//
// # What it is not
//
// The front end of api.telegram.org (its limits, its HTML pages), its Telegram
// side, files and sending are not simulated; sendMessage and answer* return
// just enough for a sample bot. Left out of the server itself are the limits on
// bots loaded and requests active at once, the 429 while a certificate file is
// being copied, webhook proxies, and the second 60 s that a large answer which
// is not JSON may get.
package telegramsim
