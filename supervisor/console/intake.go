package console

import "time"

// Intake is how many new updates came by which transport lately, as counted in
// this process: what was taken in before its start isn't in it.
type Intake struct {
	// Seconds are the last ten minutes, Minutes the last day.
	Seconds Counts
	Minutes Counts
}

// Counts are the numbers of successive spans of time, the oldest first. Webhook and
// Polling are of one length.
type Counts struct {
	// Begin is when the first span begins, Step how long each one is. The last one
	// is not over yet.
	Begin   time.Time
	Step    time.Duration
	Webhook []uint32
	Polling []uint32
}

// IntakeProvider tells how many updates came. An unknown bot has no counts.
type IntakeProvider interface {
	Intake(bot string) Intake
}
