//go:build cgo && linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"sightline/internal/v4l2"
)

// deviceInfo is one camera of this machine, as --list-devices --json prints it.
type deviceInfo struct {
	Path     string        `json:"path"`
	Name     string        `json:"name,omitempty"`
	Driver   string        `json:"driver,omitempty"`
	Bus      string        `json:"bus,omitempty"`
	Pick     string        `json:"pick,omitempty"` // what an address without options makes of it
	Formats  []formatInfo  `json:"formats,omitempty"`
	Controls []controlInfo `json:"controls,omitempty"`
	Error    string        `json:"error,omitempty"`
}

type formatInfo struct {
	FourCC      string     `json:"fourcc"`
	Description string     `json:"description"`
	Sizes       []sizeInfo `json:"sizes,omitempty"`
}

type sizeInfo struct {
	Width  int       `json:"width"`
	Height int       `json:"height"`
	FPS    []float64 `json:"fps,omitempty"`
}

type controlInfo struct {
	Name     string           `json:"name"`
	Type     string           `json:"type"`
	Min      int64            `json:"min"`
	Max      int64            `json:"max"`
	Step     int64            `json:"step"`
	Default  int64            `json:"default"`
	Value    int64            `json:"value"`
	Menu     map[int64]string `json:"menu,omitempty"`
	ReadOnly bool             `json:"read_only,omitempty"`
	Inactive bool             `json:"inactive,omitempty"`
}

// listDevices prints the cameras of this machine with all they offer.
func listDevices(w io.Writer, asJSON bool) error {
	paths, err := filepath.Glob("/dev/video*")
	if err != nil {
		return fmt.Errorf("list devices: %w", err)
	}
	list := []deviceInfo{}
	for _, path := range paths {
		d, err := describe(path)
		if errors.Is(err, v4l2.ErrNotCamera) {
			continue
		}
		if err != nil {
			d = deviceInfo{Path: path, Error: err.Error()}
		}
		list = append(list, d)
	}
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(list)
	}
	var b strings.Builder
	if len(list) == 0 {
		b.WriteString("no camera found; plug one in, and see that this user may read /dev/video* (group video)\n")
	}
	for _, d := range list {
		d.print(&b)
	}
	_, err = io.WriteString(w, b.String())
	return err
}

func describe(path string) (deviceInfo, error) {
	device, err := v4l2.Open(path)
	if err != nil {
		return deviceInfo{}, err
	}
	defer device.Close()
	formats, err := device.Formats()
	if err != nil {
		return deviceInfo{}, err
	}
	controls, err := device.Controls()
	if err != nil {
		return deviceInfo{}, err
	}
	d := deviceInfo{Path: path, Name: device.Card, Driver: device.Driver, Bus: device.Bus}
	if s, ok := v4l2.Pick(formats, v4l2.Setting{}); ok {
		d.Pick = fmt.Sprintf("%s %dx%d at %.6g", s.FourCC, s.Width, s.Height, float64(s.RateMilli)/1000)
	}
	for _, f := range formats {
		info := formatInfo{FourCC: f.FourCC, Description: f.Description}
		for _, s := range f.Sizes {
			size := sizeInfo{Width: s.Width, Height: s.Height}
			for _, r := range s.RatesMilli {
				size.FPS = append(size.FPS, float64(r)/1000)
			}
			info.Sizes = append(info.Sizes, size)
		}
		d.Formats = append(d.Formats, info)
	}
	for _, c := range controls {
		d.Controls = append(d.Controls, controlInfo{c.Name, c.Type, c.Min, c.Max, c.Step, c.Default, c.Value, c.Menu, c.ReadOnly, c.Inactive})
	}
	return d, nil
}

func (d deviceInfo) print(b *strings.Builder) {
	if d.Error != "" {
		fmt.Fprintf(b, "%s: %s\n", d.Path, d.Error)
		return
	}
	fmt.Fprintf(b, "%s: %s (%s, %s)\n", d.Path, d.Name, d.Driver, d.Bus)
	if d.Pick != "" {
		fmt.Fprintf(b, "  v4l2:%s takes %s\n", d.Path, d.Pick)
	}
	for _, f := range d.Formats {
		fmt.Fprintf(b, "  format %s (%s)\n", f.FourCC, f.Description)
		for _, s := range f.Sizes {
			rates := make([]string, len(s.FPS))
			for i, r := range s.FPS {
				rates[i] = fmt.Sprintf("%.6g", r)
			}
			fmt.Fprintf(b, "    %dx%d at %s\n", s.Width, s.Height, strings.Join(rates, ", "))
		}
	}
	for _, c := range d.Controls {
		notes := ""
		if c.ReadOnly {
			notes += ", read only"
		}
		if c.Inactive {
			notes += ", inactive"
		}
		fmt.Fprintf(b, "  control %s=%d (%s, %d to %d, default %d%s)\n", c.Name, c.Value, c.Type, c.Min, c.Max, c.Default, notes)
		for _, v := range slices.Sorted(maps.Keys(c.Menu)) {
			fmt.Fprintf(b, "    %d: %s\n", v, c.Menu[v])
		}
	}
}
