package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const benchSecret = "Bench_secret-0123456789abcdefghij"

// contestants in the order of the table; the ratio is to the third.
var contestants = []string{"net/http", "dualgram intake", "net/http + bbolt put", "dualgram whole"}

// intakeRow is one cell of the table.
type intakeRow struct {
	Conns  int     `json:"connections"`
	TLS    bool    `json:"tls"`
	Server string  `json:"server"`
	Rate   float64 `json:"updates_per_s"`
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
	Ratio  float64 `json:"ratio"` // to net/http + bbolt put
}

// intake measures each contestant in turn, several rounds, so that a noisy moment
// hits all alike.
func intake(ctx context.Context, quick bool, profile string) ([]intakeRow, error) {
	rounds, length := 5, 2*time.Second
	if quick {
		rounds, length = 1, 500*time.Millisecond
	}
	var rows []intakeRow
	for _, secure := range []bool{false, true} {
		for _, conns := range []int{1, 40, 100} {
			got := map[string][]intakeRow{}
			for round := range rounds {
				for _, name := range contestants {
					p := ""
					if profile != "" && name == contestants[1] && conns == 100 && !secure && round == 0 {
						p = profile
					}
					row, err := cell(ctx, name, secure, conns, length, p)
					if err != nil {
						return nil, fmt.Errorf("%s, %d connections: %w", name, conns, err)
					}
					got[name] = append(got[name], row)
				}
			}
			base := median(got[contestants[2]])
			for _, name := range contestants {
				m := median(got[name])
				m.Ratio = m.Rate / base.Rate
				rows = append(rows, m)
			}
			progress("intake: %d connections, TLS %v: done", conns, secure)
		}
	}
	return rows, nil
}

func median(rows []intakeRow) intakeRow {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b intakeRow) int { return int(a.Rate - b.Rate) })
	return rows[len(rows)/2]
}

// cell runs one server in a process of its own and loads it.
func cell(ctx context.Context, name string, secure bool, conns int, length time.Duration, profile string) (intakeRow, error) {
	dir, err := os.MkdirTemp("", "dualgram-bench-")
	if err != nil {
		return intakeRow{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	self, err := os.Executable()
	if err != nil {
		return intakeRow{}, err
	}
	cmd := exec.CommandContext(ctx, self, "serve", name, strconv.FormatBool(secure), dir, profile)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return intakeRow{}, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return intakeRow{}, err
	}
	if err := cmd.Start(); err != nil {
		return intakeRow{}, err
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Wait()
		return intakeRow{}, fmt.Errorf("the server did not start: %w", err)
	}
	row, err := load(ctx, strings.TrimSpace(addr), secure, conns, length)
	_ = stdin.Close() // the server ends
	werr := cmd.Wait()
	row.Server, row.TLS, row.Conns = name, secure, conns
	if err == nil {
		err = werr
	}
	return row, err
}

// load posts updates over keep-alive connections in a closed loop.
func load(ctx context.Context, addr string, secure bool, conns int, length time.Duration) (intakeRow, error) {
	var next atomic.Int64
	next.Store(500_000_000)
	warm := length / 4
	ctx, cancel := context.WithTimeout(ctx, warm+length+30*time.Second)
	defer cancel()
	begin := time.Now().Add(warm)
	end := begin.Add(length)
	lats := make([][]time.Duration, conns)
	errs := make([]error, conns)
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() { lats[i], errs[i] = loop(ctx, addr, secure, &next, i, begin, end) })
	}
	wg.Wait()
	var all []time.Duration
	for i := range conns {
		if errs[i] != nil {
			return intakeRow{}, errs[i]
		}
		all = append(all, lats[i]...)
	}
	if len(all) == 0 {
		return intakeRow{}, fmt.Errorf("nothing was answered in %v", length)
	}
	slices.Sort(all)
	ms := func(q float64) float64 {
		return float64(all[min(len(all)-1, int(q*float64(len(all))))].Microseconds()) / 1000
	}
	return intakeRow{Rate: float64(len(all)) / length.Seconds(), P50: ms(0.5), P99: ms(0.99)}, nil
}

func loop(ctx context.Context, addr string, secure bool, next *atomic.Int64, chat int, begin, end time.Time) ([]time.Duration, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}) //nolint:gosec // the load, not the client
	}
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	var req bytes.Buffer
	var lats []time.Duration
	for {
		now := time.Now()
		if now.After(end) {
			return lats, nil
		}
		req.Reset()
		body := update(next.Add(1), chat)
		fmt.Fprintf(&req, "POST /hook HTTP/1.1\r\nHost: bench\r\nX-Telegram-Bot-Api-Secret-Token: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n%s", benchSecret, len(body), body)
		if _, err := conn.Write(req.Bytes()); err != nil {
			return nil, err
		}
		if err := answer(r); err != nil {
			return nil, err
		}
		if now.After(begin) {
			lats = append(lats, time.Since(now))
		}
	}
}

// update is an update of about 700 bytes.
func update(id int64, chat int) string {
	return fmt.Sprintf(`{"update_id":%d,
"message":{"message_id":%d,"from":{"id":%d,"is_bot":false,"first_name":"Bench","username":"bench_user_%d","language_code":"en"},"chat":{"id":%d,"first_name":"Bench","username":"bench_user_%d","type":"private"},"date":1767225600,"text":"%s"}}`,
		id, id, 10_000_000+chat, chat, 10_000_000+chat, chat, filler)
}

var filler = strings.Repeat("lorem ipsum dolor sit amet ", 16)

// answer reads one response with status 200.
func answer(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("answer: %s", line)
	}
	length := 0
	for {
		line, err = r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(v)))
		}
	}
	_, err = io.CopyN(io.Discard, r, int64(length))
	return err
}
