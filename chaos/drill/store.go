package drill

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Store keeps a bot's records. What it returned once from Append is on disk.
type Store interface {
	// Append adds a record. It refuses one whose Seq is not that of the last one
	// plus 1 with [ErrSeq]; the first of all has 1.
	Append(ctx context.Context, r Record) error
	// List returns the records that are kept, oldest first.
	List(ctx context.Context) ([]Record, error)
	// Get returns the record with an ID, or [ErrNotFound].
	Get(ctx context.Context, id string) (Record, error)
}

// Keep is how long a Store keeps a record: long enough that a yearly audit sees
// all of its year.
const Keep = 400 * 24 * time.Hour

// Errors of a Store.
var (
	ErrNotFound = errors.New("drill: no such record; drill history lists them")
	ErrSeq      = errors.New("drill: the record does not follow the last one")
)

// RecordKind says what a record tells.
type RecordKind string

// The kinds of records.
const (
	// RecordBegin is written before the first injection, so that a run that the
	// host doesn't survive is known too. Data is a [Journal] without its end.
	RecordBegin RecordKind = "begin"
	// RecordRun is a run's evidence. Data is a [Journal].
	RecordRun RecordKind = "run"
	// RecordHalt and RecordResume are pulls of the halt lever. Data is a [Halt].
	RecordHalt   RecordKind = "halt"
	RecordResume RecordKind = "resume"
	// RecordSchedule is a schedule that came into force. Data is a [Standing].
	RecordSchedule RecordKind = "schedule"
)

// Record is a link of the chain. Data is kept and hashed byte for byte, so that
// a later version of the program can verify what an earlier one wrote.
type Record struct {
	Seq  uint64          `json:"seq"`
	ID   string          `json:"id"`
	Kind RecordKind      `json:"kind"`
	At   time.Time       `json:"at"`
	Data json.RawMessage `json:"data"`
	// Prev is the hash of the record before, empty in the first; Hash that of this
	// one: SHA-256 in hexadecimal.
	Prev string `json:"prev"`
	Hash string `json:"hash"`
}

// Halt is the halt lever's state: while it is pulled, no drill begins.
type Halt struct {
	At     time.Time `json:"at"`
	Who    Who       `json:"who"`
	Reason string    `json:"reason"`
}

// Who is who asked for something.
type Who struct {
	// User is the account's name, or "schedule".
	User string `json:"user"`
	UID  int64  `json:"uid,omitempty"`
	PID  int64  `json:"pid,omitempty"`
	// Reason is what they said.
	Reason string `json:"reason,omitempty"`
}

// Standing is a schedule as the history has it.
type Standing struct {
	Experiment string   `json:"experiment"`
	Cron       string   `json:"cron"`
	Zone       string   `json:"zone"`
	Jitter     Duration `json:"jitter"`
}
