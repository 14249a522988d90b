//go:build cgo

package capture

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"sightline/internal/av"
	"sightline/internal/media"
)

const (
	// imagesPoll is how often a folder is looked at. Polling, since folders that other machines write to send no events.
	imagesPoll = 200 * time.Millisecond
	// stillAgain is how often a still that stays is sent again, so that who comes sees it at once.
	stillAgain = 500 * time.Millisecond
	// halfWritten is how long a file that cannot be decoded may still be being written: after its last change it has so much time.
	halfWritten = 2 * time.Second
	// fullLook is how often all files of a folder are looked at, even when none was added: one may have been written over.
	fullLook = 2 * time.Second
)

// imagesFeed shows the newest still of a folder, or plays them in order.
type imagesFeed struct {
	src  Source
	dir  string
	o    imagesOptions
	log  *slog.Logger
	info FeedInfo

	shown  still
	frame  *sharedFrame // of shown; nil: none yet
	sent   time.Time    // when frame was given last; zero: not yet
	broken map[string]still
	list   []still   // what was there when the folder was last read
	looked time.Time // when that was
	dirAt  time.Time // the folder's own time then

	queue []still // of play: what is left of this round
	due   time.Time
}

// sharedFrame is a frame that several pictures show.
type sharedFrame struct {
	frame *av.Frame
	refs  atomic.Int32
}

func (s *sharedFrame) release(Image) {
	if s.refs.Add(-1) == 0 {
		s.frame.Close()
	}
}

func openImages(src Source, log *slog.Logger) (Feed, error) {
	f := &imagesFeed{src: src, dir: src.secret, o: src.images, log: log, broken: map[string]still{}}
	f.info.FrameRateMilli = int(time.Second / stillAgain * 1000)
	if f.o.play {
		f.info.FrameRateMilli = max(f.info.FrameRateMilli, f.o.rate.milli())
	}
	switch info, err := os.Stat(f.dir); {
	case err != nil:
		return nil, f.unreadable(err)
	case !info.IsDir():
		return nil, fmt.Errorf("the source %s is no folder; name the folder that the stills are in", src)
	}
	return f, nil
}

func (f *imagesFeed) unreadable(err error) error {
	switch {
	case os.IsNotExist(err):
		return because{fmt.Errorf("the source %s does not exist; check the path", f.src), media.CauseNotFound}
	case os.IsPermission(err):
		return because{fmt.Errorf("the source %s may not be read by this user; change its permissions", f.src), media.CauseForbidden}
	}
	return fmt.Errorf("the source %s cannot be read: %w", f.src, err)
}

// Info implements Feed.
func (f *imagesFeed) Info() FeedInfo { return f.info }

// Next implements Feed.
func (f *imagesFeed) Next(ctx context.Context) (*Picture, error) {
	patience := time.Now().Add(minStall)
	for ctx.Err() == nil {
		changed, err := f.advance()
		if err != nil {
			return nil, err
		}
		now := time.Now()
		if f.frame != nil && (changed || now.Sub(f.sent) >= stillAgain) {
			f.sent = now
			f.frame.refs.Add(1)
			return NewPicture(f.frame.frame, now, f.frame.release), nil
		}
		if f.frame == nil && now.After(patience) {
			return nil, fmt.Errorf("the source %s holds %w: no JPEG, PNG or TIFF that can be decoded; put one there", f.src, ErrPaused)
		}
		sleep(ctx, f.wait(now))
	}
	return nil, ctx.Err()
}

// wait is how long nothing can happen.
func (f *imagesFeed) wait(now time.Time) time.Duration {
	wait := imagesPoll
	if f.o.play && !f.due.IsZero() {
		wait = min(wait, f.due.Sub(now))
	}
	if f.frame != nil {
		wait = min(wait, f.sent.Add(stillAgain).Sub(now))
	}
	return max(wait, 0)
}

// advance brings the next still into frame if there is one.
func (f *imagesFeed) advance() (changed bool, err error) {
	if f.o.play {
		return f.play()
	}
	if err := f.look(); err != nil {
		return false, err
	}
	for _, s := range f.list {
		if s.same(f.shown) {
			return false, nil
		}
		if loaded, wait := f.load(s); loaded {
			return true, nil
		} else if wait && f.frame != nil {
			return false, nil // what is shown stays until the newer one is written
		}
	}
	return false, nil
}

// look reads the folder when it may have changed.
func (f *imagesFeed) look() error {
	dir, err := os.Stat(f.dir)
	if err != nil {
		return f.unreadable(err)
	}
	now := time.Now()
	if dir.ModTime().Equal(f.dirAt) && now.Sub(f.looked) < fullLook && f.looked.Sub(f.dirAt) > fullLook {
		// No file was added, and the folder's time is not so young that one could have been added within its grain. The newest file may
		// have grown.
		if len(f.list) > 0 {
			if s, err := statStill(f.list[0].path); err == nil {
				f.list[0] = s
				return nil
			}
		} else {
			return nil
		}
	}
	list, err := stills(f.dir)
	if err != nil {
		return f.unreadable(err)
	}
	newestFirst(list)
	f.list, f.looked, f.dirAt = list, now, dir.ModTime()
	for path := range f.broken {
		if _, err := statStill(path); err != nil {
			delete(f.broken, path)
		}
	}
	return nil
}

// play takes the next of the round when it is due, and a new round after the last.
func (f *imagesFeed) play() (changed bool, err error) {
	now := time.Now()
	if now.Before(f.due) {
		return false, nil
	}
	for range 2 {
		if len(f.queue) == 0 {
			if f.queue, err = stills(f.dir); err != nil {
				return false, f.unreadable(err)
			}
		}
		for len(f.queue) > 0 {
			s := f.queue[0]
			f.queue = f.queue[1:]
			loaded := s.same(f.shown)
			if !loaded {
				loaded, _ = f.load(s)
			}
			if !loaded {
				continue
			}
			if f.due = f.due.Add(f.o.rate.after(1)); f.due.Before(now) { // the first, or too slow a machine
				f.due = now.Add(f.o.rate.after(1))
			}
			return true, nil
		}
	}
	f.due = now.Add(imagesPoll) // nothing there
	return false, nil
}

// load brings s into frame. What cannot be decoded is tried again as long as it may be being written, and then left out with one
// line in the log.
func (f *imagesFeed) load(s still) (loaded, wait bool) {
	if b, ok := f.broken[s.path]; ok && b.same(s) {
		return false, false
	}
	frame, err := f.decode(s)
	if err != nil {
		if time.Since(s.mtime) < halfWritten {
			return false, true
		}
		f.broken[s.path] = s
		f.log.Warn("still left out", "file", s.path, "error", err)
		return false, false
	}
	if f.frame != nil {
		f.frame.release(nil)
	}
	f.frame, f.shown = frame, s
	f.info.Width, f.info.Height = frame.frame.Width(), frame.frame.Height()
	return true, false
}

func (f *imagesFeed) decode(s still) (*sharedFrame, error) {
	p, err := decodeStill(s.path, f.o.window)
	if err != nil {
		return nil, err
	}
	format, err := av.RawFormat(p.format)
	if err != nil {
		return nil, err
	}
	frame, err := av.NewRaw(p.width, p.height, format)
	if err != nil {
		return nil, err
	}
	if err := frame.Fill(p.data, 0); err != nil {
		frame.Close()
		return nil, err
	}
	shared := &sharedFrame{frame: frame}
	shared.refs.Store(1)
	return shared, nil
}

// Rest implements Feed: nobody looks at the folder.
func (f *imagesFeed) Rest(ctx context.Context, wanted <-chan struct{}) error {
	select {
	case <-ctx.Done():
	case <-wanted:
	}
	f.sent, f.due, f.looked = time.Time{}, time.Time{}, time.Time{}
	return nil
}

// Close implements Feed.
func (f *imagesFeed) Close() {
	if f.frame != nil {
		f.frame.release(nil)
	}
}
