//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"sightline/internal/media"
)

// memory is the most that a process with a 1080p30 source and three renditions ever took: in all, as ps tells it, and without the pages of files, which all
// such processes share.
func (b *bench) memory(ctx context.Context) error {
	m, err := memoryOf(ctx, b.program, "test:?size=1920x1080&fps=30")
	if err != nil {
		return err
	}
	fmt.Println("  " + m.String())
	b.set("rss_1080_mb", m.peak)
	b.set("private_1080_mb", m.private)
	return nil
}

// footprint is a process's memory in MB.
type footprint struct {
	resident, peak     float64 // peak: of resident, since it began
	private, shareable float64 // resident without the pages of files; and with its part of these where processes share them (PSS)
}

func (m footprint) String() string {
	return fmt.Sprintf("resident %.1f MB, at most %.1f, without files' pages %.1f, proportional %.1f", m.resident, m.peak, m.private, m.shareable)
}

// memoryOf has a source of 1080 lines encoded in 1080, 720 and 544 for a while, in which each rendition is compared with its original once.
func memoryOf(ctx context.Context, program, source string) (footprint, error) {
	c, err := startChild(ctx, program, source, "--rendition", "name=a,height=1080,bitrate=4500000", "--rendition", "name=b,height=720", "--rendition", "name=c,height=544,bitrate=1600000")
	if err != nil {
		return footprint{}, err
	}
	defer func() { _, _ = c.end() }()
	if _, err := c.watch([]media.RenditionID{1, 2, 3}, 0, time.Now().Add(10*time.Second)); err != nil {
		return footprint{}, err
	}
	return measure(c.cmd.Process.Pid)
}

// measure reads what the system tells of a running process.
func measure(pid int) (footprint, error) {
	var m footprint
	for file, figures := range map[string]map[string]*float64{
		"status":       {"VmRSS:": &m.resident, "VmHWM:": &m.peak, "RssAnon:": &m.private},
		"smaps_rollup": {"Pss:": &m.shareable},
	} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			return m, err
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			figure, ok := figures[fields[0]]
			if !ok {
				continue
			}
			kib, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				return m, err
			}
			*figure = kib * 1024 / 1e6
		}
	}
	if m.resident == 0 {
		return m, errors.New("the system does not tell a process's memory")
	}
	return m, nil
}
