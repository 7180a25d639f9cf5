//! `[server]`: the HTTP side and the log.

use super::context::OnOffAuto;
use crate::table::table;

table! {
    /// Address, key, endpoints and log of llama-server.
    pub struct Server {
        /// Address to listen on inside the container.
        host: String => "--host";
        /// Port, inside the container and published.
        port: i64, 1 ..= 65535 => "--port";
        /// Path before every route.
        api_prefix: String => "--api-prefix";
        /// File on the host that holds the API key, relative to the output directory; mounted as a secret.
        api_key_file: String;
        /// Model names that clients see.
        alias: Vec<String> => "--alias";
        /// Tags shown with the model.
        tags: Vec<String> => "--tags";
        /// Prometheus metrics at `/metrics`.
        metrics: bool => "--metrics";
        /// Let `/props` be changed by POST.
        props: bool => "--props";
        /// The slots endpoint.
        slots: bool => "--slots" / "--no-slots";
        /// Read and write timeout, seconds.
        timeout: i64, 1 ..= 1_000_000 => "--timeout";
        /// Seconds between keep-alive events of a stream.
        sse_ping_interval: i64, -1 ..= 1_000_000 => "--sse-ping-interval";
        /// HTTP threads; -1 chooses.
        threads_http: i64, -1 ..= 1024 => "--threads-http";
        /// Unload the model after so many idle seconds; -1 never.
        sleep_idle_seconds: i64, -1 ..= 100_000_000 => "--sleep-idle-seconds";
        /// Directory for saved slots, inside the container.
        slot_save_path: String => "--slot-save-path";
        /// Directory of local media, inside the container.
        media_path: String => "--media-path";
        /// TLS key, inside the container.
        ssl_key_file: String => "--ssl-key-file";
        /// TLS certificate, inside the container.
        ssl_cert_file: String => "--ssl-cert-file";
        /// Origins that browsers may call from.
        cors_origins: String => "--cors-origins";
        /// The web page.
        ui: bool => "--ui" / "--no-ui";
        /// An empty run before the first request.
        warmup: bool => "--warmup" / "--no-warmup";
        /// Log level from 0 (output only) to 5 (debug); buffer sizes appear at 4.
        verbosity: i64, 0 ..= 5 => "--verbosity";
        /// Log as JSON lines.
        log_jsonl: bool => "--log-jsonl" / "--no-log-jsonl";
        /// Colors in the log.
        log_colors: OnOffAuto => "--log-colors";
        /// Level and time before each line.
        log_prefix: bool => "--log-prefix" / "--no-log-prefix";
        /// Time stamps in the log.
        log_timestamps: bool => "--log-timestamps" / "--no-log-timestamps";
        /// Performance figures in answers.
        perf: bool => "--perf" / "--no-perf";
    }
}
