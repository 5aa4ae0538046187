package api

import (
	"net/http"

	"session-api/internal/cleanup"
	"session-api/internal/store/backend"
)

// stats is the body of the stats routes.
type stats struct {
	Store       string       `json:"store"`
	Scope       string       `json:"scope"`
	EntryCount  int64        `json:"entryCount"`
	MaxEntries  int64        `json:"maxEntries"`
	OverLimit   bool         `json:"overLimit"`
	Bytes       int64        `json:"bytes"`
	Hits        int64        `json:"hits"`
	Misses      int64        `json:"misses"`
	Sets        int64        `json:"sets"`
	Deletes     int64        `json:"deletes"`
	Evictions   int64        `json:"evictions"`
	Expirations int64        `json:"expirations"`
	HitRate     float64      `json:"hitRate"`
	UptimeMs    int64        `json:"uptimeMs"`
	Cleanup     cleanupStats `json:"cleanup"`
	File        *fileStats   `json:"file,omitempty"`
}

// fileStats are of the file that the store keeps sessions in.
type fileStats struct {
	Writable        bool   `json:"writable"`
	State           string `json:"state"`
	Bytes           int64  `json:"bytes"`
	FreeBytes       int64  `json:"freeBytes"`
	LiveBytes       int64  `json:"liveBytes"`
	VolumeFreeBytes int64  `json:"volumeFreeBytes"`
	LastCommitAgeMs int64  `json:"lastCommitAgeMs"`
	CommitFailures  int64  `json:"commitFailures"`
}

func fileStatsOf(f *backend.FileStats) *fileStats {
	return &fileStats{
		Writable: f.Writable, State: f.State, Bytes: f.Bytes, FreeBytes: f.FreeBytes, LiveBytes: f.LiveBytes,
		VolumeFreeBytes: f.VolumeFreeBytes, LastCommitAgeMs: f.LastCommitAge.Milliseconds(), CommitFailures: f.CommitFailures,
	}
}

// The scopes of a store's entryCount and bytes. All else is the instance's.
const (
	scopeInstance = "instance"
	scopeCluster  = "cluster"
)

// cleanupStats are the figures of the last cleanup; LastRunAt is null before
// the first.
type cleanupStats struct {
	LastRunAt  *string        `json:"lastRunAt"`
	Scanned    int            `json:"scanned"`
	Kept       int            `json:"kept"`
	Deleted    int            `json:"deleted"`
	BytesFreed int64          `json:"bytesFreed"`
	Errors     int            `json:"errors"`
	Status     cleanup.Status `json:"status"`
}

func (s *Server) getStats(w http.ResponseWriter, r *http.Request) error {
	now := s.Now()
	st, err := s.Sessions.Stats(r.Context(), now)
	if err != nil {
		return err
	}
	out := stats{
		Store: s.Sessions.Name(), Scope: scopeInstance, EntryCount: st.Entries, MaxEntries: st.MaxEntries,
		OverLimit: st.OverLimit, Bytes: st.Bytes,
		Hits: st.Hits, Misses: st.Misses, Sets: st.Sets, Deletes: st.Deletes,
		Evictions: st.Evictions, Expirations: st.Expirations,
		HitRate: hitRate(st), UptimeMs: now.Sub(s.startedAt).Milliseconds(),
	}
	if s.Sessions.Shared() {
		out.Scope = scopeCluster
	}
	if last, ok := s.Cleaner.Last(); ok {
		at := last.StartedAt.UTC().Format("2006-01-02T15:04:05.000Z07:00")
		out.Cleanup = cleanupStats{
			LastRunAt: &at, Scanned: last.Scanned, Kept: last.Kept,
			Deleted: last.Deleted, BytesFreed: last.BytesFreed, Errors: last.Errors,
		}
	}
	out.Cleanup.Status = s.Cleaner.Status()
	if file, ok := s.Sessions.File(); ok {
		out.File = fileStatsOf(&file)
	}
	return writeJSON(w, out)
}

// hitRate is the share of reads that found their session, 0 before the first.
func hitRate(st backend.Stats) float64 {
	if st.Hits+st.Misses == 0 {
		return 0
	}
	return float64(st.Hits) / float64(st.Hits+st.Misses)
}
