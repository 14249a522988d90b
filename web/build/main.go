// Command build bundles the player and the pages of web/src into web/dist with esbuild's Go API, so that building
// needs no Node. With -tests it bundles every *.test.ts into a folder for `node --test` instead. It starts no
// goroutines of its own.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	dir := flag.String("dir", "web", "the folder that holds src and dist")
	tests := flag.String("tests", "", "bundle the tests into this folder instead of building the pages")
	flag.Parse()
	var err error
	if *tests != "" {
		err = buildTests(*dir, *tests)
	} else {
		err = buildPages(*dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "web/build:", err)
		os.Exit(1)
	}
}

func buildPages(dir string) error {
	src, dist := filepath.Join(dir, "src"), filepath.Join(dir, "dist")
	err := bundle(api.BuildOptions{
		EntryPointsAdvanced: []api.EntryPoint{
			{InputPath: filepath.Join(src, "app", "app.ts"), OutputPath: "app"},
			{InputPath: filepath.Join(src, "app", "admin.ts"), OutputPath: "admin"},
			{InputPath: filepath.Join(src, "app", "app.css"), OutputPath: "app"},
			{InputPath: filepath.Join(src, "player", "worker.ts"), OutputPath: "worker"},
			{InputPath: filepath.Join(src, "publisher", "worker.ts"), OutputPath: "publisher"},
		},
		Outdir:            dist,
		Format:            api.FormatESModule,
		Platform:          api.PlatformBrowser,
		MinifySyntax:      true,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		LegalComments:     api.LegalCommentsNone,
	})
	if err != nil {
		return err
	}
	for _, name := range []string{"index.html", "favicon.svg"} {
		b, err := os.ReadFile(filepath.Join(src, "app", name))
		if err != nil {
			return fmt.Errorf("read a page's file: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dist, name), b, 0o644); err != nil {
			return fmt.Errorf("write a page's file: %w", err)
		}
	}
	return nil
}

// buildTests bundles each test by itself: Node needs neither the sources nor a TypeScript loader to run it.
func buildTests(dir, out string) error {
	var entries []string
	err := filepath.WalkDir(filepath.Join(dir, "src"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".test.ts") {
			entries = append(entries, path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("look for tests: %w", err)
	}
	if len(entries) == 0 {
		return fmt.Errorf("no *.test.ts under %s", dir)
	}
	return bundle(api.BuildOptions{
		EntryPoints:  entries,
		Outdir:       out,
		OutExtension: map[string]string{".js": ".mjs"},
		Format:       api.FormatESModule,
		Platform:     api.PlatformNode,
		Sourcemap:    api.SourceMapInline,
	})
}

func bundle(options api.BuildOptions) error {
	options.Bundle = true
	options.Write = true
	options.Target = api.ES2022
	options.LogLevel = api.LogLevelSilent
	result := api.Build(options)
	var errs []error
	for _, m := range result.Errors {
		where := ""
		if m.Location != nil {
			where = fmt.Sprintf("%s:%d:%d: ", m.Location.File, m.Location.Line, m.Location.Column+1)
		}
		errs = append(errs, fmt.Errorf("%s%s", where, m.Text))
	}
	return errors.Join(errs...)
}
