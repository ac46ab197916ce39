package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// traceStop is how long a stopping process may take to hand over its last spans.
const traceStop = 3 * time.Second

// trace makes the tracer of the process, if the configuration names a collector. stop hands over what is left.
func (a *app) trace(ctx context.Context) (stop func(), err error) {
	c := a.cfg.Tracing
	if c.Endpoint == "" {
		return func() {}, nil
	}
	headers, err := headersOf(c.Headers.Reveal())
	if err != nil {
		return nil, err
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(tracesURL(c.Endpoint)), otlptracehttp.WithHeaders(headers))
	if err != nil {
		return nil, fmt.Errorf("tracing.endpoint: %w", err)
	}
	// OpenTelemetry reports its own trouble in one place for the whole process. A collector that is away concerns nobody's messages.
	rare := a.log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, time.Minute, 1, 0)
	}))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { rare.Warn("tracing.failed", zap.Error(err)) }))
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(exporter), sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(c.Sample))),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "gupdispatch"), attribute.String("service.version", ownVersion()), attribute.String("service.instance.id", a.env.self),
		)),
	)
	a.tracer = provider
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), traceStop)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			a.log.Warn("tracing.failed", zap.Error(err))
		}
	}, nil
}

// tracesURL is where a collector takes spans: the path that OTLP has for them, unless there is one already.
func tracesURL(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || strings.Trim(u.Path, "/") != "" { // the configuration was checked
		return endpoint
	}
	u.Path = "/v1/traces"
	return u.String()
}

// headersOf reads name=value,name=value.
func headersOf(text string) (map[string]string, error) {
	headers := map[string]string{}
	for i, pair := range strings.Split(text, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(pair), "=")
		switch {
		case found && name != "":
			headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
		case text != "":
			return nil, usagef("the variable of tracing.headers_env: the part %d is not name=value", i+1)
		}
	}
	return headers, nil
}
