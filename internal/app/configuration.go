package app

import (
	"context"
	"strings"

	"sightline/internal/config"
	"sightline/internal/httpd"
)

// configuration is what the administrator's page does with the configuration. Safe for concurrent use.
type configuration struct {
	app  *App
	load func() (config.Config, error) // as it is on disk now; nil where there is none to read
}

// Show implements httpd.Configuration.
func (c *configuration) Show() []httpd.Setting {
	c.app.reloading.Lock()
	live := c.app.live
	c.app.reloading.Unlock()
	list := []httpd.Setting{}
	for _, s := range live.Settings() {
		list = append(list, httpd.Setting{Name: s.Name, Value: s.Value, Origin: string(s.Origin), Where: s.Where})
	}
	return list
}

// Check implements httpd.Configuration.
func (c *configuration) Check() httpd.ConfigReport {
	report, _ := c.report(func(cfg config.Config) error {
		c.app.reloading.Lock()
		defer c.app.reloading.Unlock()
		_, err := c.app.ready(cfg)
		return err
	})
	return report
}

// Reload implements httpd.Configuration.
func (c *configuration) Reload(ctx context.Context) httpd.ConfigReport {
	report, well := c.report(func(cfg config.Config) error { return c.app.Reload(context.WithoutCancel(ctx), cfg) })
	report.TakenUp = well
	return report
}

// report reads what is on disk, does something with it, and tells how it differs from what holds and what is wrong with it.
func (c *configuration) report(do func(config.Config) error) (report httpd.ConfigReport, well bool) {
	report = httpd.ConfigReport{Changes: []httpd.ConfigChange{}, Problems: []string{}}
	if c.load == nil {
		report.Problems = append(report.Problems, "This server's configuration cannot be read anew while it runs.")
		return report, false
	}
	cfg, err := c.load()
	if err == nil {
		c.app.reloading.Lock()
		live := c.app.live
		c.app.reloading.Unlock()
		for _, x := range config.Changes(live, cfg) {
			report.Changes = append(report.Changes, httpd.ConfigChange(x))
		}
		err = do(cfg)
	}
	if err != nil {
		report.Problems = strings.Split(err.Error(), "\n") // of errors that are joined, each has a line
	}
	return report, err == nil
}
