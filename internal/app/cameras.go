package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"sightline/internal/config"
	"sightline/internal/httpd"
	"sightline/internal/media"
	"sightline/internal/onvif"
	"sightline/internal/sessions"
)

const (
	// trialTime is how long a camera is shown that somebody tries out, maxTrials how many at a time.
	trialTime = 2 * time.Minute
	maxTrials = 4
)

// device is what a page may name of this machine: a video device, and nothing else that the server could open.
var device = regexp.MustCompile(`^v4l2:(//)?/dev/(video[0-9]{1,3}|v4l/by-(id|path)/[A-Za-z0-9._:-]{1,200})(\?|$)`)

// bareAddress is what people write who know a camera's address and no more: a host, maybe with a port.
var bareAddress = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?$`)

// cameras are what the administrator's page does with cameras. Safe for concurrent use.
type cameras struct {
	app  *App
	load func() (config.Config, error) // the configuration as it is on disk now; nil where there is none to change

	finder *onvif.Finder
	asker  *onvif.Asker

	changing sync.Mutex
}

// pageSource reads a source that somebody named on the page. Cameras of the network and of this machine are taken, and the test
// pattern; files, folders and screens of this machine are for its configuration file.
func pageSource(text string) (config.Source, error) {
	text = strings.TrimSpace(text)
	if bareAddress.MatchString(text) {
		return config.Source{}, &httpd.InputError{Sentence: "An address alone does not say how to speak with the camera: write rtsp://" + text + "/ and the path from its manual, or look for it with Find cameras."}
	}
	source, err := config.ParseSource(text)
	if err != nil {
		return source, &httpd.InputError{Sentence: "This address cannot be used: " + err.Error() + "."}
	}
	switch source.Scheme() {
	case "rtsp", "rtsps", "http", "https", "test":
		return source, nil
	case "v4l2":
		if device.MatchString(source.Reveal()) && !strings.Contains(source.Reveal(), "..") {
			return source, nil
		}
		return source, &httpd.InputError{Sentence: "That is no video device: write v4l2:/dev/video0, or another number."}
	}
	return source, &httpd.InputError{Sentence: "Sources of this kind are added in the configuration file: here rtsp, rtsps, http, https, v4l2 and test are taken."}
}

// List implements httpd.Cameras.
func (c *cameras) List() []httpd.Camera {
	list := []httpd.Camera{}
	for _, s := range c.app.streams.configured() {
		list = append(list, httpd.Camera{ID: s.ID, Source: s.Source.String(), Publish: s.Publish, Origin: string(s.Origin)})
	}
	return list
}

// Check implements httpd.Cameras.
func (c *cameras) Check(text string) (string, error) {
	source, err := pageSource(text)
	if err != nil {
		return "", err
	}
	return source.String(), nil
}

// Try implements httpd.Cameras.
func (c *cameras) Try(text string) (media.StreamID, error) {
	source, err := pageSource(text)
	if err != nil {
		return "", err
	}
	if err := c.app.streams.findCapture([]config.Stream{{Source: source}}); err != nil {
		return "", err
	}
	return c.app.streams.try(source)
}

// EndTrial implements httpd.Cameras.
func (c *cameras) EndTrial(id media.StreamID) { c.app.streams.endTrial(id) }

// Add implements httpd.Cameras.
func (c *cameras) Add(ctx context.Context, id media.StreamID, text string) error {
	source, err := pageSource(text)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(c.app.streams.configured(), func(s config.Stream) bool { return s.ID == id }) {
		return &httpd.InputError{Sentence: fmt.Sprintf("There is a stream %s already: choose another name.", id)}
	}
	return c.change(ctx,
		func(dir string) error { return config.AddCamera(dir, id, source) },
		func(dir string) error { return config.RemoveCamera(dir, id) })
}

// Remove implements httpd.Cameras.
func (c *cameras) Remove(ctx context.Context, id media.StreamID) error {
	var was config.Source
	for _, s := range c.app.streams.configured() {
		if s.ID == id && s.Origin == config.OriginPage {
			was = s.Source
		}
	}
	return c.change(ctx,
		func(dir string) error { return config.RemoveCamera(dir, id) },
		func(dir string) error { return config.AddCamera(dir, id, was) })
}

// Find implements httpd.Cameras.
func (c *cameras) Find(ctx context.Context) ([]onvif.Device, error) {
	list, err := c.finder.Find(ctx)
	if err != nil {
		return nil, &httpd.InputError{Sentence: "No camera can be looked for: " + err.Error() + "."}
	}
	return list, nil
}

// Profiles implements httpd.Cameras.
func (c *cameras) Profiles(ctx context.Context, service, user, password string) ([]onvif.Profile, error) {
	list, err := c.asker.Profiles(ctx, service, user, password)
	if err != nil {
		return nil, &httpd.InputError{Sentence: "This camera does not give its video: " + err.Error() + "."}
	}
	return list, nil
}

// change changes the cameras file and goes on with it. Where that cannot be, the file is put back as it was.
func (c *cameras) change(ctx context.Context, do, undo func(dataDir string) error) error {
	if c.load == nil {
		return &httpd.InputError{Sentence: "This server's cameras cannot be changed while it runs."}
	}
	c.changing.Lock()
	defer c.changing.Unlock()
	dir := c.app.cfg.DataDir
	if err := do(dir); errors.Is(err, config.ErrCamera) {
		return &httpd.InputError{Sentence: "This cannot be done: " + err.Error() + "."}
	} else if err != nil {
		return err
	}
	cfg, err := c.load()
	if err == nil {
		err = c.app.Reload(context.WithoutCancel(ctx), cfg)
	}
	if err != nil {
		return &httpd.InputError{Sentence: "The configuration cannot be taken up as it is now: " + errors.Join(err, undo(dir)).Error() + "."}
	}
	return nil
}

// findCapture finds the capture program when there are streams for it.
func (m *streams) findCapture(list []config.Stream) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.program != "" {
		return nil
	}
	program, err := captureProgram(list)
	if err != nil {
		return &httpd.InputError{Sentence: err.Error() + "."}
	}
	m.program = program
	return nil
}

// configured is the list of streams as it is now, not to be changed.
func (m *streams) configured() []config.Stream {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list
}

// try shows a source under a name of its own for a while.
func (m *streams) try(source config.Source) (media.StreamID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx == nil || m.ctx.Err() != nil {
		return "", errors.New("the server does not run")
	}
	if len(m.trials) >= maxTrials {
		return "", &httpd.InputError{Sentence: fmt.Sprintf("%d cameras are being tried out, which is the most: wait two minutes, or end one.", maxTrials)}
	}
	s := config.Stream{ID: media.StreamID(httpd.TrialPrefix + strings.ToLower(rand.Text())), Source: source, Origin: config.OriginPage}
	ctx, stop := context.WithCancel(m.ctx)
	p := &process{stop, make(chan struct{})}
	m.trials[s.ID] = p
	m.app.hub.Declare(s.ID)
	program, level := m.program, m.level
	end := time.AfterFunc(trialTime, stop)
	go func() {
		defer close(p.done)
		defer end.Stop()
		m.app.runCapture(ctx, program, s, level)
		m.trialEnded(s.ID)
	}()
	return s.ID, nil
}

// endTrial ends what try began.
func (m *streams) endTrial(id media.StreamID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.trials[id]; p != nil {
		p.stop()
	}
}

// trialEnded forgets a source that was tried, and sends its viewers away.
func (m *streams) trialEnded(id media.StreamID) {
	m.mu.Lock()
	delete(m.trials, id)
	m.forgetRestarts(id)
	m.mu.Unlock()
	for _, x := range m.app.sessions.List(func(x sessions.Session) bool { return x.Stream == id }) {
		m.app.sessions.End(x.ID)
	}
	m.app.hub.Withdraw(id)
}
