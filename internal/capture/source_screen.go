package capture

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// screenOptions are those of a screen: source.
type screenOptions struct {
	size string // as width x height; empty: all of it
	rate rate
}

// display is how X11 names one, such as :0 or :0.1; one on another machine would be read in the clear.
var display = regexp.MustCompile(`^:[0-9]{1,5}(\.[0-9]{1,3})?$`)

func parseScreen(rest string) (Source, error) {
	name, tail, _ := strings.Cut(rest, "?")
	if name == "" {
		name = os.Getenv("DISPLAY")
	}
	if !display.MatchString(name) {
		return Source{}, fmt.Errorf("%w: screen: display %.40q, want one of this machine such as screen::0, or set DISPLAY to it", ErrSource, name)
	}
	query, err := parseQuery("?"+tail, "size", "fps")
	if err != nil {
		return Source{}, fmt.Errorf("%w: screen: %w", ErrSource, err)
	}
	s := Source{scheme: "screen", secret: name, shown: "screen:" + name, screen: screenOptions{size: query.Get("size"), rate: rate{30, 1}}}
	if s.screen.size != "" {
		if _, _, err := parseSize(s.screen.size); err != nil {
			return Source{}, fmt.Errorf("%w: screen: %w", ErrSource, err)
		}
	}
	if v := query.Get("fps"); v != "" {
		if s.screen.rate, err = parseRate(v); err != nil {
			return Source{}, fmt.Errorf("%w: screen: %w", ErrSource, err)
		}
	}
	return s, nil
}
