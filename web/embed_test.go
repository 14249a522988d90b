package web_test

import (
	"compress/gzip"
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"testing"

	"sightline/web"
)

// page gives the built files, index.html, and the names of the assets that it asks for.
func page(t *testing.T) (files fs.FS, html []byte, assets []string) {
	t.Helper()
	files, err := web.Files()
	if errors.Is(err, web.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	html, err = fs.ReadFile(files, "index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`"/assets/([^"]+)"`).FindAllSubmatch(html, -1) {
		if name := string(m[1]); !slices.Contains(assets, name) {
			assets = append(assets, name)
		}
	}
	if len(assets) == 0 {
		t.Fatal("index.html asks for no asset")
	}
	return files, html, assets
}

// firstLoad is how many bytes /watch may take to load, compressed as httpd compresses them.
const firstLoad = 60_000

func TestFiles_FirstLoadIsSmall(t *testing.T) {
	files, _, assets := page(t)
	all, parts := 0, map[string]int{}
	for _, name := range append(assets, "index.html", "worker.js") {
		body, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		var n counter
		z, err := gzip.NewWriterLevel(&n, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write(body); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		parts[name] = int(n)
		all += int(n)
	}
	if all > firstLoad {
		t.Errorf("/watch loads %d bytes at first, want %d at most: import what is not needed for the first picture when it is: %v", all, firstLoad, parts)
	}
	t.Logf("%d bytes: %v", all, parts)
}

type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

func TestFiles_HoldEverythingThePageAsksFor(t *testing.T) {
	files, page, assets := page(t)
	for _, name := range append(assets, "worker.js", "graphs.js", "tools.js", "publish.js", "publisher.js", "refusals.js", "walls.js", "tilemenu.js") { // asked for by app.js
		if info, err := fs.Stat(files, name); err != nil || info.Size() == 0 {
			t.Errorf("%s: missing or empty (%v)", name, err)
		}
	}
	// The pages are served under a policy that refuses both.
	if inline := regexp.MustCompile(`<script[^>]*>[^<]|\sstyle=|\son\w+=`).Find(page); inline != nil {
		t.Errorf("index.html has inline script or style: %q", inline)
	}
}
