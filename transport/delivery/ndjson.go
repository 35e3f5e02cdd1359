package delivery

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
	"unicode/utf8"
)

// NDJSONOptions configure an [NDJSON]. Only Path is required.
type NDJSONOptions struct {
	// Path of the file, which is created with mode 0600 if it is missing; "-"
	// writes to Stdout.
	Path string
	// Stdout is written to if Path is "-"; os.Stdout by default. If it has a
	// method Flush() error, that is called after each line.
	Stdout io.Writer
	// Sync makes each line durable by fsync before its update counts as taken.
	// Without it a line survives a crash of the process, not one of the host.
	Sync bool
}

// NDJSON writes each update as one line:
//
//	{"update_id":1,"source":"webhook","received_at":"2026-01-02T15:04:05.678Z","update":{…}}
//
// Line breaks between the tokens of the update become spaces; nothing else of
// it changes. An update that is not valid JSON in UTF-8 can't be part of a valid
// line, so "update" is replaced by "raw", a string with the bytes in standard
// base64: no update is refused for its content.
//
// An update is taken when its line is written (and synced, with Sync). A line
// that was cut short, by a full disk or a crash, stays alone on its line, and
// its update is written again: a reader skips lines that don't parse. A line
// may repeat an update_id.
type NDJSON struct {
	opts NDJSONOptions
	// turn has one token: who holds it writes. A channel and not a mutex, so
	// that a delivery waiting behind a slow disk ends with its context.
	turn chan struct{}

	// Guarded by turn.
	w    io.Writer
	file *os.File // nil for Stdout
	torn bool     // what was written last does not end in a line break
	buf  []byte
}

// NewNDJSON opens the file.
func NewNDJSON(o NDJSONOptions) (*NDJSON, error) {
	n := &NDJSON{opts: o, turn: make(chan struct{}, 1)}
	switch o.Path {
	case "":
		return nil, errors.New(`delivery: ndjson path is missing: give a file or "-" for standard output`)
	case "-":
		n.w = o.Stdout
		if n.w == nil {
			n.w = os.Stdout
		}
	default:
		if err := n.open(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// Deliver writes the update's line. The error is an [*Error].
func (n *NDJSON) Deliver(ctx context.Context, u Update) error {
	select {
	case n.turn <- struct{}{}:
		defer func() { <-n.turn }()
	case <-ctx.Done():
		kind, cause := ioKind(ctx, ctx.Err())
		return &Error{Op: "ndjson", Kind: kind, Target: n.opts.Path, Detail: "another line is being written", Err: cause}
	}
	if err := n.write(u); err != nil {
		return n.failed(err)
	}
	// The file may have been deleted under us: what was written is then gone.
	if n.file != nil && unlinked(n.file) {
		if err := n.open(); err != nil {
			return err
		}
		if err := n.write(u); err != nil {
			return n.failed(err)
		}
	}
	return nil
}

// Reopen opens the path again, for when the file was moved away by log
// rotation. If that fails, lines go on to the old file.
func (n *NDJSON) Reopen() error {
	if n.opts.Path == "-" {
		return nil
	}
	n.turn <- struct{}{}
	defer func() { <-n.turn }()
	if n.w == nil {
		return n.failed(os.ErrClosed)
	}
	return n.open()
}

// Close closes the file; deliveries fail from then on. Stdout stays open.
func (n *NDJSON) Close() error {
	n.turn <- struct{}{}
	defer func() { <-n.turn }()
	file := n.file
	n.w, n.file = nil, nil
	if file == nil {
		return nil
	}
	if err := file.Close(); err != nil {
		return n.failed(err)
	}
	return nil
}

// open opens the path and makes it the file written to. Called with the turn,
// or before anybody else knows n.
func (n *NDJSON) open() error {
	if st, err := os.Stat(n.opts.Path); err == nil && !st.Mode().IsRegular() && st.Mode()&os.ModeCharDevice == 0 {
		return &Error{Op: "ndjson", Kind: KindIO, Target: n.opts.Path,
			Detail: `not a regular file: for a pipe give "-" and redirect standard output`}
	}
	// Readable too, to see how the file ends.
	f, err := os.OpenFile(n.opts.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return n.failed(err)
	}
	torn, err := endsTorn(f)
	if err != nil {
		_ = f.Close()
		return n.failed(err)
	}
	if n.file != nil {
		_ = n.file.Close() // every line in it was written already
	}
	n.w, n.file, n.torn = f, f, torn
	return nil
}

// endsTorn reports whether the file's last byte is not a line break.
func endsTorn(f *os.File) (bool, error) {
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() || st.Size() == 0 {
		return false, err
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], st.Size()-1); err != nil {
		return false, err
	}
	return last[0] != '\n', nil
}

func (n *NDJSON) write(u Update) error {
	if n.w == nil {
		return os.ErrClosed
	}
	b := n.buf[:0]
	if n.torn {
		b = append(b, '\n')
	}
	b = appendLine(b, u)
	if cap(b) <= 1<<20 {
		n.buf = b
	}
	// One call per line, so that lines of several writers to one file or pipe
	// don't mix more than the system mixes them.
	done, err := n.w.Write(b)
	if err == nil && done < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		if done > 0 && done <= len(b) {
			n.torn = b[done-1] != '\n'
		}
		return err
	}
	n.torn = false
	if f, ok := n.w.(interface{ Flush() error }); ok {
		if err := f.Flush(); err != nil {
			n.torn = true // how much of it arrived is not known
			return err
		}
	}
	if n.opts.Sync && n.file != nil {
		return n.file.Sync()
	}
	return nil
}

// failed makes an error of the file an *Error. The text of a *PathError is the
// path and the system's message, nothing of a line.
func (n *NDJSON) failed(err error) error {
	kind, cause := ioKind(context.Background(), err)
	e := &Error{Op: "ndjson", Kind: kind, Target: n.opts.Path, Err: cause}
	var path *os.PathError
	switch {
	case errors.Is(err, os.ErrClosed):
		e.Kind, e.Detail, e.Err = KindIO, "closed", os.ErrClosed
	case errors.As(err, &path) && cause != nil:
		e.Detail = fmt.Sprintf("%s: %s", path.Op, cause)
	case cause != nil:
		e.Detail = cause.Error()
	}
	return e
}

// appendLine appends the update's line, line break included.
func appendLine(b []byte, u Update) []byte {
	b = append(b, `{"update_id":`...)
	b = strconv.AppendInt(b, u.ID, 10)
	b = append(b, `,"source":"`...)
	b = append(b, u.Source...) // one of two constants: nothing to escape
	b = append(b, `","received_at":"`...)
	b = u.ReceivedAt.UTC().AppendFormat(b, time.RFC3339Nano)
	if !utf8.Valid(u.Raw) || !json.Valid(u.Raw) {
		b = append(b, `","raw":"`...)
		b = base64.StdEncoding.AppendEncode(b, u.Raw)
		return append(b, "\"}\n"...)
	}
	b = append(b, `","update":`...)
	// In valid JSON a raw line break can only stand between tokens.
	start := len(b)
	b = append(b, u.Raw...)
	for i := start; i < len(b); i++ {
		if b[i] == '\n' || b[i] == '\r' {
			b[i] = ' '
		}
	}
	return append(b, "}\n"...)
}
