package config

// Server are the settings of the environment and the address.
type Server struct {
	Env  string `env:"APP_ENV" envDefault:"development" oneof:"development production" doc:"Environment that the service runs in. Production requires secrets, marks cookies Secure and listens on all addresses; development works without any settings. If it is not set, NODE_ENV=production counts as production."`
	Host string `env:"HOST" shown:"127.0.0.1 in development, 0.0.0.0 in production" values:"address or host name" doc:"Address or host name to listen on."`
	Port int    `env:"PORT" envDefault:"8080" min:"0" max:"65535" doc:"TCP port to listen on; 0 selects any free port, which is printed at startup."`
}
