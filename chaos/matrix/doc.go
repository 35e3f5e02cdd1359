// Package matrix is the evidence of the fault matrix: what each fault did in
// each run, the bounds that the runs are held to, and the pages made of them.
//
// A [Row] is one fault or one false alarm with its runs; a [Sample] is one run.
// Losses, doubles, order and waits are the judge's figures, from the side of
// Telegram and from the bot's own record. [Row.Violations] holds a row to its
// bounds; [Page] and [Chart] show all rows to a reader. Nothing here runs a
// fault, and nothing is measured here.
package matrix
