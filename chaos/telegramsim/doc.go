// Package telegramsim simulates the Bot API server (see clauses.go).
package telegramsim
