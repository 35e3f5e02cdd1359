package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"dualgram/store"
)

const (
	// leastSpace is what bbolt takes at once when a file has to grow, and a little.
	leastSpace = 64 << 20
	// littleSpace is warned about: a bot at work fills it in an outage of hours.
	littleSpace = 256 << 20

	// syncs is how many writes are tried; a twentieth of them may be slow.
	syncs = 40
	// syncsFor bounds the trial on a disk that is slow.
	syncsFor = 2 * time.Second
	// slowSync is a synced write that a busy bot begins to wait for, badSync one that
	// takes a tenth of the whole budget.
	slowSync = 100 * time.Millisecond
	badSync  = time.Second
)

// disk looks at the place of the store. Only before an installation is anything
// written: a small file beside the store that is gone at once.
func (k *checkup) disk(ctx context.Context, f *findings) {
	path := k.cfg.Store.Path
	dir := filepath.Dir(path)
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.fail(StoreDirectory, fmt.Sprintf("Create it: install -d -m 0700 -o dualgram %s.", dir), "there is no directory %s", dir)
		return
	case err != nil:
		f.fail(StoreDirectory, "Run the check as the user that dualgram runs as.", "%s: %s", dir, bare(err))
		return
	case !st.IsDir():
		f.fail(StoreDirectory, "Correct store.path.", "%s is no directory", dir)
		return
	}
	k.permissions(f, dir, st, path)
	k.room(f, dir, path)
	switch {
	case k.alive():
		f.pass(StoreDirectory, "%s, in use by the running dualgram", dir)
		k.commitTimes(f)
	case !k.o.Pre || !k.nothing:
		f.pass(StoreDirectory, "%s", dir)
		f.skip(StoreSync, "nothing is written beside a store that may be in use")
	default:
		k.writes(ctx, f, dir)
	}
}

// permissions judges who may read the store, and who owns it.
func (k *checkup) permissions(f *findings, dir string, st fs.FileInfo, path string) {
	if perm := st.Mode().Perm(); perm&0o022 != 0 && st.Mode()&fs.ModeSticky == 0 {
		f.warn(StorePermissions, "Run chmod go-w "+dir+".", "others can write in %s (mode %04o), and so replace the store", dir, perm)
	}
	file, err := os.Stat(path)
	if err == nil {
		if perm := file.Mode().Perm(); perm&0o077 != 0 {
			f.warn(StorePermissions, "Run chmod 600 "+path+".", "others can read %s (mode %04o)", path, perm)
		}
	}
	me, whose := os.Geteuid(), "this check runs as"
	if k.vitals != nil {
		me, whose = k.vitals.UID, "dualgram runs as"
	}
	about := st
	name := dir
	if err == nil {
		about, name = file, path
	}
	if uid, known := owner(about); known && uid != me && me != 0 {
		f.warn(StorePermissions, fmt.Sprintf("Run chown %d on it, or the check as the user that dualgram runs as.", me), "%s belongs to user %d, and %s %d", name, uid, whose, me)
	}
	if _, bad := f.has(StorePermissions); !bad {
		f.pass(StorePermissions, "only its user can read it")
	}
}

// room judges the free space.
func (k *checkup) room(f *findings, dir, path string) {
	s, err := k.o.Space(dir)
	if err != nil {
		f.skip(StoreSpace, "not known: %s", bare(err))
		return
	}
	size := uint64(0)
	if st, err := os.Stat(path); err == nil {
		size = uint64(st.Size())
	}
	free := bytesWords(s.Free) + " free of " + bytesWords(s.Total)
	switch {
	case s.Inodes == 0:
		f.fail(StoreSpace, "Remove some files: the file system can't hold another one.", "no inode is free")
	case s.Free < leastSpace:
		f.fail(StoreSpace, "", "%s", free)
	case s.Free < max(littleSpace, size):
		f.warn(StoreSpace, "", "%s, and the store has %s", free, bytesWords(size))
	default:
		f.pass(StoreSpace, "%s", free)
	}
}

// writes tries what the store does: small writes that are synced.
func (k *checkup) writes(ctx context.Context, f *findings, dir string) {
	file, err := os.CreateTemp(dir, ".dualgram-check-*")
	if err != nil {
		if noRoom(err) {
			f.insist(StoreSpace, "", "no file can be made in %s: %s", dir, bare(err))
			return
		}
		f.fail(StoreDirectory, "", "nothing can be written in %s: %s", dir, bare(err))
		return
	}
	defer os.Remove(file.Name())
	defer file.Close()
	f.pass(StoreDirectory, "%s can be written", dir)
	var took []time.Duration
	page := make([]byte, 4096)
	for begin := time.Now(); len(took) < syncs && time.Since(begin) < syncsFor && ctx.Err() == nil; {
		start := time.Now()
		_, err := file.WriteAt(page, int64(len(took))*int64(len(page)))
		if err == nil {
			err = file.Sync()
		}
		if err != nil {
			code, fix := StoreSync, "Look at the kernel's log and the state of the disk."
			if noRoom(err) {
				code, fix = StoreSpace, ""
			}
			if errors.Is(err, syscall.EFBIG) {
				fix = "Lift the limit on the size of files: LimitFSIZE= in the unit, or ulimit -f."
			}
			f.insist(code, fix, "a write of 4 KiB in %s fails: %s", dir, bare(err))
			return
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	if len(took) == 0 {
		return
	}
	middle, late := took[len(took)/2], took[len(took)-1-len(took)/20]
	words := fmt.Sprintf("half within %s, 95 of 100 within %s, all within %s", short(middle), short(late), short(took[len(took)-1]))
	switch {
	case late >= badSync:
		f.fail(StoreSync, "", "%s", words)
	case late >= slowSync:
		f.warn(StoreSync, "", "%s", words)
	default:
		f.pass(StoreSync, "%s", words)
	}
}

func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// commitTimes takes the running dualgram's own experience for a trial.
func (k *checkup) commitTimes(f *findings) {
	v := k.vitals
	switch {
	case v == nil:
		f.skip(StoreSync, "the running version doesn't tell")
	case v.Store.Commits == 0:
		f.skip(StoreSync, "nothing has been committed yet")
	default:
		last := time.Duration(v.Store.LastCommitMS * float64(time.Millisecond))
		words := fmt.Sprintf("the last commit took %s, the longest since the start %s", short(last), short(time.Duration(v.Store.MaxCommitMS*float64(time.Millisecond))))
		if last >= badSync { // one alone may be slow by chance
			f.warn(StoreSync, "", "%s", words)
			return
		}
		f.pass(StoreSync, "%s", words)
	}
}

// store looks at the file. One that is in use is left alone.
func (k *checkup) store(_ context.Context, f *findings) {
	path := k.cfg.Store.Path
	if k.alive() {
		f.pass(StoreReadable, "opened by the running dualgram")
		f.pass(StoreSchema, "known to the running dualgram")
		f.pass(StoreHolder, "the running dualgram")
		return
	}
	if !k.nothing {
		f.skipAll([]Code{StoreReadable, StoreSchema, StoreHolder}, "a dualgram that doesn't answer may have it, or be about to")
		return
	}
	shape, err := store.Look(path)
	var e *store.Error
	why, fix := "", ""
	if errors.As(err, &e) {
		why, fix = bare(e.Err), sentence(e.Hint)
	}
	switch {
	case errors.Is(err, store.ErrTooLarge):
		f.pass(StoreHolder, "nobody has it")
		f.skipAll([]Code{StoreReadable, StoreSchema}, "too large to be read in passing; dualgram verifies it at its start")
	case errors.Is(err, store.ErrLocked):
		f.fail(StoreHolder, fix, "%s: %s", path, why)
	case errors.Is(err, store.ErrNewer):
		f.pass(StoreHolder, "nobody has it")
		f.fail(StoreSchema, fix, "%s: %s", path, why)
	case errors.Is(err, fs.ErrPermission):
		f.fail(StoreReadable, "Give it to the user that dualgram runs as, and run the check as that user.", "%s: %s", path, why)
	case err != nil:
		f.fail(StoreReadable, fix, "%s: %s", path, why)
	case !shape.Exists:
		f.pass(StoreReadable, "there is none yet; it is made at the first start")
		f.pass(StoreSchema, "a new one is made")
		f.pass(StoreHolder, "nobody has it")
	default:
		f.pass(StoreReadable, "%s, %s", path, bytesWords(uint64(shape.Size)))
		f.pass(StoreSchema, "version %d", shape.Schema)
		f.pass(StoreHolder, "nobody has it")
	}
}

// commits tells how the running store does.
func (k *checkup) commits(_ context.Context, f *findings) {
	switch {
	case k.notLive(f, StoreCommits):
	case k.vitals == nil:
		f.skip(StoreCommits, "the running version doesn't tell")
	case !k.vitals.Store.OK:
		fix := ""
		if k.vitals.Store.Full {
			fix = "Free some space on the file system of the store: Telegram keeps what is refused for a day at most, button presses for 150 seconds."
		}
		f.fail(StoreCommits, fix, "the last one failed: %s", k.vitals.Store.Error)
	case k.vitals.Store.InProgressS >= k.cfg.Signals.Store.SlowCommit.Seconds():
		f.fail(StoreCommits, "See what keeps the disk: dmesg, iostat -x 1.", "one has been running for %.1f s", k.vitals.Store.InProgressS)
	default:
		f.pass(StoreCommits, "%d since the start, %d of them failed", k.vitals.Store.Commits, k.vitals.Store.Failures)
	}
}

func bytesWords(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// short is a duration with two or three digits.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "1ms"
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
