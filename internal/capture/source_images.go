package capture

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// imagesOptions are those of an images: source.
type imagesOptions struct {
	play   bool // in order, instead of the newest
	rate   rate // of playing
	window window
}

// window is the range of grey values that is spread over black to white; width 0: from the darkest to the brightest of each still.
type window struct{ width, level float64 }

func parseImages(rest string) (Source, error) {
	path, tail, _ := strings.Cut(rest, "?")
	if strings.HasPrefix(path, "///") {
		path = path[2:]
	}
	s := Source{scheme: "images", secret: path, shown: "images:" + path, images: imagesOptions{rate: rate{2, 1}}}
	fail := func(err error) (Source, error) { return Source{}, fmt.Errorf("%w: images: %w", ErrSource, err) }
	if path == "" || strings.HasPrefix(path, "//") {
		return fail(errors.New("needs a folder, such as images:/srv/stills"))
	}
	query, err := parseQuery("?"+tail, "mode", "fps", "window", "level")
	if err != nil {
		return fail(err)
	}
	switch mode := query.Get("mode"); mode {
	case "", "newest":
		if query.Has("fps") {
			return fail(errors.New("fps is for mode=play, leave it out"))
		}
	case "play":
		s.images.play = true
		if v := query.Get("fps"); v != "" {
			if s.images.rate, err = parseRate(v); err != nil {
				return fail(err)
			}
		}
	default:
		return fail(fmt.Errorf("mode %.40q, want newest or play", mode))
	}
	if query.Has("window") != query.Has("level") {
		return fail(errors.New("window and level come together, such as window=4000&level=2000"))
	}
	if query.Has("window") {
		w, err1 := strconv.ParseFloat(query.Get("window"), 64)
		l, err2 := strconv.ParseFloat(query.Get("level"), 64)
		if err1 != nil || err2 != nil || !(w >= 1 && w <= 65536) || !(l >= -65536 && l <= 131072) {
			return fail(errors.New("window is 1 to 65536 grey values wide, and level is the value in its middle"))
		}
		s.images.window = window{width: w, level: l}
	}
	return s, nil
}

// table gives the byte that each grey value from 0 to most becomes: the linear function of DICOM PS3.3 C.11.2.1.2, in which the level
// is the middle of the window.
func (w window) table(most int) []byte {
	t := make([]byte, most+1)
	for x := range t {
		v := float64(x)
		switch {
		case v <= w.level-0.5-(w.width-1)/2:
			t[x] = 0
		case v > w.level-0.5+(w.width-1)/2:
			t[x] = 255
		default:
			t[x] = byte(((v-(w.level-0.5))/(w.width-1)+0.5)*255 + 0.5)
		}
	}
	return t
}

// spread is the table of a still whose grey values go from low to high.
func spread(low, high, most int) []byte {
	t := make([]byte, most+1)
	for x := range t {
		switch {
		case x >= high:
			t[x] = 255
		case x > low:
			t[x] = byte(((x-low)*255 + (high-low)/2) / (high - low))
		}
	}
	if low == high { // one grey: as it is
		t[low] = byte(low * 255 / most)
	}
	return t
}

// still is one file of a folder, as it was when the folder was read.
type still struct {
	path  string
	size  int64
	mtime time.Time
}

// same tells whether a file is the one it was.
func (s still) same(o still) bool {
	return s.path == o.path && s.size == o.size && s.mtime.Equal(o.mtime)
}

// isStill goes by the name. Names with a dot in front are files that a program is still writing, as rsync and others do.
func isStill(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".jpg", ".jpeg", ".png", ".tif", ".tiff":
		return !strings.HasPrefix(name, ".")
	}
	return false
}

// stills lists a folder by name.
func stills(dir string) ([]still, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, err
	}
	var list []still
	for _, e := range entries {
		if !isStill(e.Name()) {
			continue
		}
		if s, err := statStill(filepath.Join(dir, e.Name())); err == nil {
			list = append(list, s)
		} else if !errors.Is(err, fs.ErrNotExist) { // gone since
			return nil, err
		}
	}
	return list, nil
}

// statStill looks at one file; what is no file does not exist as a still.
func statStill(path string) (still, error) {
	info, err := os.Stat(path)
	if err != nil {
		return still{}, err
	}
	if !info.Mode().IsRegular() {
		return still{}, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return still{path: path, size: info.Size(), mtime: info.ModTime()}, nil
}

// newestFirst orders stills by time, and those of one time by name, the last first.
func newestFirst(list []still) {
	slices.SortFunc(list, func(a, b still) int {
		if c := b.mtime.Compare(a.mtime); c != 0 {
			return c
		}
		return strings.Compare(b.path, a.path)
	})
}
