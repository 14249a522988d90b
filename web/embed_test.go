package web_test

import (
	"errors"
	"io/fs"
	"regexp"
	"testing"

	"sightline/web"
)

func TestFiles_HoldEverythingThePageAsksFor(t *testing.T) {
	files, err := web.Files()
	if errors.Is(err, web.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	page, err := fs.ReadFile(files, "index.html")
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`"/assets/([^"]+)"`).FindAllSubmatch(page, -1)
	if len(asked) == 0 {
		t.Fatal("index.html asks for no asset")
	}
	names := []string{"worker.js", "graphs.js", "publisher.js"} // asked for by app.js
	for _, m := range asked {
		names = append(names, string(m[1]))
	}
	for _, name := range names {
		if info, err := fs.Stat(files, name); err != nil || info.Size() == 0 {
			t.Errorf("%s: missing or empty (%v)", name, err)
		}
	}
	// The pages are served under a policy that refuses both.
	if inline := regexp.MustCompile(`<script[^>]*>[^<]|\sstyle=|\son\w+=`).Find(page); inline != nil {
		t.Errorf("index.html has inline script or style: %q", inline)
	}
}
