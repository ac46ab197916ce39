package httpapi

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

const (
	// scrapeTimeout ends a scrape whose collectors hang on Redis: Prometheus'
	// own default limit is 10 s.
	scrapeTimeout = 9 * time.Second

	// scrapesAtOnce keeps impatient scrapers from piling up behind a slow one.
	scrapesAtOnce = 4
)

// metrics serves the registry in Prometheus' format. A collector that fails
// loses its own metrics only and is logged: the rest is wanted most when
// something is broken.
func metrics(registry *prometheus.Registry, log *zap.Logger) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            scrapeLog{log.Sugar()},
		ErrorHandling:       promhttp.ContinueOnError,
		Timeout:             scrapeTimeout,
		MaxRequestsInFlight: scrapesAtOnce,
		EnableOpenMetrics:   true,
	})
}

// scrapeLog lets promhttp report a failed collector as a warning.
type scrapeLog struct{ log *zap.SugaredLogger }

// Println implements promhttp.Logger.
func (l scrapeLog) Println(v ...any) { l.log.Warnln(v...) }
