package httpd

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

// files are the player's files, read and compressed once.
type files struct{ byName map[string]file }

type file struct {
	body, gzipped []byte
	mime, etag    string
}

func loadFiles(fsys fs.FS) (*files, error) {
	f := &files{byName: map[string]file{}}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		body, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		var z bytes.Buffer
		w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
		if err == nil {
			_, err = w.Write(body)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		f.byName[name] = file{body: body, gzipped: z.Bytes(), mime: mimeType(name), etag: `"` + hex.EncodeToString(sum[:12]) + `"`}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the player's files: %w", err)
	}
	if _, ok := f.byName["index.html"]; !ok {
		return nil, errors.New("the player's files hold no index.html; build them with `make web`")
	}
	return f, nil
}

func mimeType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

func (s *Server) servePage(w http.ResponseWriter, r *http.Request, _ caller) {
	s.serveFile(w, r, "index.html")
}

func (s *Server) serveAsset(w http.ResponseWriter, r *http.Request, _ caller) {
	s.serveFile(w, r, r.PathValue("file"))
}

func (s *Server) serveIcon(w http.ResponseWriter, r *http.Request, _ caller) {
	s.serveFile(w, r, "favicon.svg")
}

// servePlayer gives the player in one file to pages of this server and of the other sites that may open streams: scripts that
// are modules are refused by the browser without these headers (Fetch standard, section 3.3, CORS protocol).
func (s *Server) servePlayer(w http.ResponseWriter, r *http.Request, _ caller) {
	w.Header().Set("Vary", "Origin")
	if origins := r.Header.Values("Origin"); len(origins) == 1 && s.allowedOrigin(r, origins[0]) {
		w.Header().Set("Access-Control-Allow-Origin", origins[0])
	}
	s.serveFile(w, r, "player.js")
}

func (s *Server) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	f, ok := s.files.byName[name]
	if !ok {
		s.notFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.mime)
	h.Set("Cache-Control", "no-cache") // asked for each time, answered with 304 when unchanged
	h.Set("ETag", f.etag)
	h.Add("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == f.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.body
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.gzipped
	}
	if _, err := w.Write(body); err != nil {
		s.log.Debug("file not written", "file", name, "error", err)
	}
}
