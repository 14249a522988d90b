package httpd

import (
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"sightline/internal/audit"
	"sightline/internal/auth"
	"sightline/internal/media"
	"sightline/internal/wire"
)

// ruleKind says what a route asks of the one who uses it.
type ruleKind int

const (
	ruleUnset  ruleKind = iota
	rulePublic          // anybody: holds nothing of any stream
	ruleLogin           // a session or a token of any kind
	ruleStream          // leave for the rule's action on the stream that the path names
	ruleSocket          // the same, for a WebSocket
	ruleServer          // leave for the rule's action on every stream: what concerns the whole server
)

type rule struct {
	kind   ruleKind
	action auth.Action
	event  string // the event of the audit record
	quiet  bool   // a grant is not recorded, only refusals: the answer holds no pictures and gives no access to any
	own    bool   // the handler puts grants on record itself
}

// onStream tells that the route's path names a stream.
func (r rule) onStream() bool { return r.kind == ruleStream || r.kind == ruleSocket }

type handler func(s *Server, w http.ResponseWriter, r *http.Request, c caller)

type route struct {
	pattern string
	rule    rule
	serve   handler
}

// caller is who a request speaks for, once it was let in.
type caller struct {
	principal auth.Principal
	stream    media.StreamID // for ruleStream and ruleSocket
	byCookie  bool
	asked     time.Time  // when the request came
	admission trace.Span // of a request for a stream; its end is when it was let in
}

// routes is the policy of the server: every route with its rule. There are no others.
func routes() []route {
	public := rule{kind: rulePublic}
	return []route{
		{"GET /{$}", public, (*Server).servePage},
		{"GET /watch/{stream...}", public, (*Server).servePage},
		{"GET /publish/{stream...}", public, (*Server).servePage},
		{"GET /admin", public, (*Server).servePage},
		{"GET /admin/{part}", public, (*Server).servePage},
		{"GET /assets/{file}", public, (*Server).serveAsset},
		{"GET /favicon.ico", public, (*Server).serveIcon},
		{"GET /player.js", public, (*Server).servePlayer},
		{"GET /healthz", public, (*Server).serveHealth},
		{"GET /api/v1/login", public, (*Server).loginWays},
		{"POST /api/v1/login", rule{kind: rulePublic, event: "login", own: true}, (*Server).login},
		{"GET /oidc/login", rule{kind: rulePublic, event: "login", own: true}, (*Server).providerLogin},
		{"GET /oidc/callback", rule{kind: rulePublic, event: "login", own: true}, (*Server).providerCallback},
		{"POST /api/v1/logout", rule{kind: rulePublic, event: "logout", own: true}, (*Server).logout},
		{"POST /api/v1/logout/everywhere", rule{kind: ruleLogin, event: "logout", own: true}, (*Server).logoutEverywhere},
		{"GET /api/v1/session", rule{kind: ruleLogin, event: "api", quiet: true}, (*Server).session},
		{"POST /api/v1/session", rule{kind: ruleLogin, event: "renew", own: true}, (*Server).renewSession},
		{"GET /api/v1/preferences", rule{kind: ruleLogin, event: "api", quiet: true}, (*Server).preferences},
		{"PUT /api/v1/preferences", rule{kind: ruleLogin, event: "api", quiet: true}, (*Server).setPreferences},
		{"GET /api/v1/sessions", rule{kind: ruleLogin, event: "api", quiet: true}, (*Server).listSessions},
		{"DELETE /api/v1/sessions/{id}", rule{kind: ruleLogin, event: "end-session", own: true}, (*Server).endSession},
		{"POST /api/v1/revocations", rule{kind: ruleServer, action: auth.Admin, event: "revoke", own: true}, (*Server).revoke},
		{"GET /api/v1/streams", rule{kind: ruleLogin, event: "api", quiet: true}, (*Server).streams},
		{"POST /api/v1/tickets", rule{kind: ruleLogin, event: "ticket", own: true}, (*Server).ticket},
		{"GET /api/v1/admin/streams", rule{kind: ruleServer, action: auth.Admin, event: "api", quiet: true}, (*Server).adminStreams},
		{"GET /api/v1/admin/history", rule{kind: ruleServer, action: auth.Admin, event: "api", quiet: true}, (*Server).history},
		{"GET /api/v1/config", rule{kind: ruleServer, action: auth.Admin, event: "api", quiet: true}, (*Server).configuration},
		{"POST /api/v1/config/check", rule{kind: ruleServer, action: auth.Admin, event: "config-check"}, (*Server).checkConfiguration},
		{"POST /api/v1/config/reload", rule{kind: ruleServer, action: auth.Admin, event: "config", own: true}, (*Server).reloadConfiguration},
		{"GET /api/v1/cameras", rule{kind: ruleServer, action: auth.Admin, event: "api", quiet: true}, (*Server).cameras},
		{"POST /api/v1/cameras", rule{kind: ruleServer, action: auth.Admin, event: "camera", own: true}, (*Server).addCamera},
		{"DELETE /api/v1/cameras/{stream...}", rule{kind: ruleServer, action: auth.Admin, event: "camera", own: true}, (*Server).removeCamera},
		{"POST /api/v1/discoveries", rule{kind: ruleServer, action: auth.Admin, event: "camera", own: true}, (*Server).findCameras},
		{"POST /api/v1/discoveries/profiles", rule{kind: ruleServer, action: auth.Admin, event: "camera", own: true}, (*Server).cameraProfiles},
		{"POST /api/v1/trials", rule{kind: ruleServer, action: auth.Admin, event: "camera", own: true}, (*Server).tryCamera},
		{"DELETE /api/v1/trials/{id}", rule{kind: ruleServer, action: auth.Admin, event: "api", quiet: true}, (*Server).endTrial},
		{"GET /api/v1/users", rule{kind: ruleServer, action: auth.Admin, event: "api", quiet: true}, (*Server).users},
		{"POST /api/v1/users", rule{kind: ruleServer, action: auth.Admin, event: "user", own: true}, (*Server).addUser},
		{"PATCH /api/v1/users/{name}", rule{kind: ruleServer, action: auth.Admin, event: "user", own: true}, (*Server).changeUser},
		{"DELETE /api/v1/users/{name}", rule{kind: ruleServer, action: auth.Admin, event: "user", own: true}, (*Server).removeUser},
		{"POST /api/v1/users/{name}/link", rule{kind: ruleServer, action: auth.Admin, event: "user", own: true}, (*Server).inviteUser},
		{"GET /api/v1/invitations", rule{kind: ruleServer, action: auth.Admin, event: "api", quiet: true}, (*Server).listInvitations},
		{"POST /api/v1/invitations", rule{kind: ruleServer, action: auth.Admin, event: "invitation", own: true}, (*Server).invite},
		{"DELETE /api/v1/invitations/{name}", rule{kind: ruleServer, action: auth.Admin, event: "invitation", own: true}, (*Server).withdraw},
		{"GET /api/v1/keys", rule{kind: ruleServer, action: auth.Admin, event: "api", quiet: true}, (*Server).keys},
		{"POST /api/v1/keys", rule{kind: ruleServer, action: auth.Admin, event: "key", own: true}, (*Server).rotateKey},
		{"DELETE /api/v1/keys/{id}", rule{kind: ruleServer, action: auth.Admin, event: "key", own: true}, (*Server).removeKey},
		{"POST /api/v1/tokens", rule{kind: ruleServer, action: auth.Admin, event: "token", own: true}, (*Server).issue},
		{"POST /api/v1/codes", rule{kind: ruleServer, action: auth.Admin, event: "code"}, (*Server).code},
		{"GET /api/v1/alerts", rule{kind: ruleServer, action: auth.Admin, event: "api", quiet: true}, (*Server).alerts},
		{"POST /api/v1/alerts/{id}/end-sessions", rule{kind: ruleServer, action: auth.Admin, event: "end-session", own: true}, (*Server).endSessionsOf},
		{"POST /api/v1/alerts/mute", rule{kind: ruleServer, action: auth.Admin, event: "mute", own: true}, (*Server).mute},
		{"DELETE /api/v1/alerts/mute/{rule}", rule{kind: ruleServer, action: auth.Admin, event: "unmute", own: true}, (*Server).unmute},
		{"GET /api/v1/audit", rule{kind: ruleServer, action: auth.Admin, event: "api", quiet: true}, (*Server).auditTrail},
		{"POST /api/v1/audit/verify", rule{kind: ruleServer, action: auth.Admin, event: "audit-verify"}, (*Server).auditVerify},
		{"GET /api/v1/streams/{stream}/snapshot.jpg", rule{kind: ruleStream, action: auth.View, event: "snapshot"}, (*Server).snapshot},
		{"GET /mjpeg/{stream...}", rule{kind: ruleStream, action: auth.View, event: "mjpeg"}, (*Server).mjpeg},
		{"GET /ws/watch/{stream...}", rule{kind: ruleSocket, action: auth.View, event: "watch"}, (*Server).watch},
		{"GET /ws/publish/{stream...}", rule{kind: ruleSocket, action: auth.Publish, event: "publish"}, (*Server).publish},
	}
}

// guard lets a request through to its route when the route's rule allows it. Refusals and grants are on record before
// anything else happens.
func (s *Server) guard(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if rt.rule.kind == rulePublic {
			rt.serve(s, w, r, caller{})
			return
		}
		asked := time.Now()
		rec := audit.Record{Event: rt.rule.event, Action: string(rt.rule.action)}
		c, err := s.identify(r, rt.rule)
		c.asked, c.admission = asked, s.traceAdmission(r, rt.rule, c.stream, asked)
		defer c.admission.End() // a refusal's; what is let in has ended it by then
		rec.Stream = string(c.stream)
		rec.Subject, rec.TokenID, rec.Session = c.principal.Subject, c.principal.ID, c.principal.ID
		switch {
		case err != nil:
		case rt.rule.onStream():
			err = s.opts.Auth.Authorize(c.principal, rt.rule.action, c.stream)
		case rt.rule.kind == ruleServer:
			err = c.principal.AllowsEverywhere(rt.rule.action)
		}
		if err != nil {
			rec.Verdict, rec.Reason = audit.Refused, reason(err)
			s.record(r, rec)
			c.admission.SetAttributes(attribute.String("sightline.refused", rec.Reason))
			s.refuse(w, err)
			return
		}
		if !rt.rule.quiet && !rt.rule.own {
			rec.Verdict = audit.Granted
			if !s.record(r, rec) {
				s.refuse(w, errNotRecorded)
				return
			}
			s.opts.Metrics.Admitted(rt.rule.event, time.Since(asked), traceOf(c.admission))
		}
		c.admission.End()
		admit(r.Context())
		rt.serve(s, w, r, c)
	})
}

var (
	errOrigin      = errors.New("request from a foreign page")
	errQueryToken  = errors.New("credential in the address")
	errSubprotocol = errors.New("no " + wire.Subprotocol + " subprotocol")
	errStreamName  = errors.New("invalid stream name")
	errCSRF        = errors.New("missing X-Sightline header")
	errBody        = errors.New("the body is not what this address takes")
	errTooLarge    = errors.New("body too large")
	errNoSession   = errors.New("no such session")
	errNoRule      = errors.New("no such rule is mute")
	errNotRecorded = errors.New("audit record not written")
	errHasSource   = errors.New("the stream has a source of its own")
	errHost        = errors.New("a name that this server does not have")
	errNothing     = errors.New("no address of this server")

	errNoAlert      = errors.New("no such alert")
	errNoUser       = errors.New("no such account")
	errNoInvitation = errors.New("no such invitation")
	errNoKey        = errors.New("no such key")
)

// ticketPrefix marks the WebSocket subprotocol that carries a ticket.
const ticketPrefix = "ticket."

// credentialNames are query parameters in which people put credentials.
func credentialNames() []string { return []string{"token", "access_token", "ticket", "jwt", "code"} }

// identify finds out who a request speaks for: by ticket, by bearer token, by the session cookie or, where it publishes, by the client
// certificate alone, in this order, and only by the first that is there.
func (s *Server) identify(r *http.Request, rl rule) (caller, error) {
	var c caller
	if rl.onStream() {
		id, err := media.ParseStreamID(r.PathValue("stream"))
		if err != nil {
			return c, errStreamName
		}
		c.stream = id
		if rl.kind == ruleSocket && !offers(r, wire.Subprotocol) {
			return c, errSubprotocol
		}
	}
	if query := r.URL.Query(); slices.ContainsFunc(credentialNames(), query.Has) {
		return c, errQueryToken // it is in logs and histories now: never accepted, so that nobody gets used to it
	}
	origin := r.Header.Get("Origin")
	if len(r.Header.Values("Origin")) > 1 {
		return c, errOrigin
	}
	var err error
	access := s.access.Load()
	ticket, hasTicket := offeredTicket(r)
	switch authorization := r.Header.Get("Authorization"); {
	case rl.kind == ruleSocket && hasTicket:
		if origin != "" && !s.allowedOrigin(r, origin) {
			return c, errOrigin
		}
		c.principal, err = s.opts.Auth.RedeemTicket(ticket, rl.action, c.stream, origin)
	case authorization != "":
		token, ok := strings.CutPrefix(authorization, "Bearer ")
		if !ok {
			return c, auth.ErrMalformed
		}
		if origin != "" && !sameOrigin(r, origin) {
			return c, errOrigin
		}
		if len(access.Issuers) > 0 && auth.Foreign(token) {
			c.principal, err = access.Issuers.Verify(r.Context(), token) // its grants say what it is for
			break
		}
		kinds := []auth.Kind{auth.KindView, auth.KindPublish, auth.KindAdmin}
		if rl.onStream() || rl.kind == ruleServer {
			kinds = []auth.Kind{auth.KindFor(rl.action)}
		}
		c.principal, err = s.opts.Auth.Verify(token, kinds...)
	default:
		cookie, cookieErr := r.Cookie(sessionCookie)
		if cookieErr != nil && rl.kind == ruleSocket && rl.action == auth.Publish && origin == "" {
			c.principal, err = s.opts.Auth.Certified(access.Certificates, shown(r), c.stream)
			return c, err
		}
		if cookieErr != nil {
			return c, auth.ErrMissing
		}
		c.byCookie = true
		// A browser sends the cookie whichever page asks. A WebSocket or a change must come from our own page.
		unsafe := rl.kind == ruleSocket || r.Method != http.MethodGet
		if (origin != "" || unsafe) && !sameOrigin(r, origin) {
			return c, errOrigin
		}
		if r.Method != http.MethodGet && r.Header.Get("X-Sightline") == "" {
			return c, errCSRF
		}
		c.principal, err = s.opts.Auth.Verify(cookie.Value, auth.KindSession)
	}
	if err == nil {
		c.principal, err = s.opts.Auth.Bind(c.principal, access.Certificates, shown(r), rl.action, c.stream)
	}
	return c, err
}

// shown is the client certificate of r's connection, with those that it came with.
func shown(r *http.Request) []*x509.Certificate {
	if r.TLS == nil {
		return nil
	}
	return r.TLS.PeerCertificates
}

func (s *Server) allowedOrigin(r *http.Request, origin string) bool {
	return sameOrigin(r, origin) || slices.Contains(s.access.Load().Origins, origin)
}

// subprotocols lists what the client offers (RFC 6455 section 11.3.4).
func subprotocols(r *http.Request) []string {
	var list []string
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(line, ",") {
			list = append(list, strings.TrimSpace(p))
		}
	}
	return list
}

func offers(r *http.Request, subprotocol string) bool {
	return slices.Contains(subprotocols(r), subprotocol)
}

func offeredTicket(r *http.Request) (string, bool) {
	for _, p := range subprotocols(r) {
		if ticket, ok := strings.CutPrefix(p, ticketPrefix); ok {
			return ticket, true
		}
	}
	return "", false
}
