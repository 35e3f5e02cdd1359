package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	protocol "github.com/mholt/acmez/v3/acme"
)

const (
	// lookEvery is the pause between two looks whether a renewal is due.
	lookEvery = 10 * time.Minute
	// infoEvery is how often the authority is asked when to renew.
	infoEvery = 6 * time.Hour
	// firstPause is the one after the first attempt that the authority turned down.
	// Each further failure doubles it up to lastPause: the first hour has at most four
	// attempts, below the five failed validations that Let's Encrypt allows for a
	// host.
	firstPause, lastPause = 5 * time.Minute, 6 * time.Hour
	// firstAway and lastAway are those of attempts that nobody answered, as while the
	// network of a starting host isn't up yet.
	firstAway, lastAway = 15 * time.Second, time.Hour
)

// due reports whether leaf is to be renewed at the time now. suggested is when the
// authority wants it to be; zero if it doesn't say.
func due(leaf *x509.Certificate, suggested, now time.Time) bool {
	if leaf == nil {
		return true
	}
	if !suggested.IsZero() && !now.Before(suggested) {
		return true
	}
	return leaf.NotAfter.Sub(now) <= leaf.NotAfter.Sub(leaf.NotBefore)/3
}

// pauseAfter is how long to wait after so many failures in a row. answered: the
// authority itself refused the last one.
func pauseAfter(failures int, answered bool) time.Duration {
	pause, last := firstAway, lastAway
	if answered {
		pause, last = firstPause, lastPause
	}
	switch {
	case failures == 0:
		return lookEvery
	case failures > 16:
		return last
	}
	return min(pause<<(failures-1), last)
}

// refused reports whether err is the authority's own answer.
func refused(err error) bool {
	var p protocol.Problem
	return errors.As(err, &p)
}

// renewalTime is when the authority wants the certificate in service to be
// renewed; zero if it doesn't say, or can't be asked: the certificate's life tells
// then.
func (i *Issuer) renewalTime(ctx context.Context) time.Time {
	leaf := i.o.Leaf()
	if leaf == nil {
		return time.Time{}
	}
	serial, now := leaf.SerialNumber.String(), time.Now()
	if serial != i.infoFor {
		i.info, i.infoAt, i.infoFor = protocol.RenewalInfo{}, time.Time{}, serial
	}
	if i.infoAt.IsZero() || now.Sub(i.infoAt) >= infoEvery {
		i.infoAt = now
		c, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		// The time is chosen at random within the window: once for each window.
		if info, err := i.client.GetRenewalInfo(c, leaf); err == nil && !info.SameWindow(i.info) {
			i.info = info
		}
	}
	return i.info.SelectedTime
}
