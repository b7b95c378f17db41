# shellcheck shell=bash
# Apache Kafka as one process, broker and controller, from its jars in Maven Central.

KAFKA_VERSION=4.3.0
KAFKA_JARS=$SERVICES_CACHE/kafka-$KAFKA_VERSION

kafka_needs() {
    need_command java default-jre-headless
    [[ -d $KAFKA_JARS ]] || need_command mvn maven
}

kafka_download() {
    [[ ! -d $KAFKA_JARS ]] || return 0
    say "downloading Apache Kafka $KAFKA_VERSION"
    local work=$SERVICES_CACHE/kafka-download
    rm -rf "$work"
    mkdir -p "$work"
    kafka_pom >"$work/pom.xml"
    (cd "$work" && mvn -q -B -C org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory=lib) >"$work/log" 2>&1 || {
        tail -n 20 "$work/log" >&2
        fail "Apache Kafka could not be downloaded, see $work/log"
    }
    mv "$work/lib" "$KAFKA_JARS"
    rm -rf "$work"
}

# The broker's jar brings neither the command-line tools nor what carries its log to log4j.
kafka_pom() {
    cat <<END
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>onair</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>$KAFKA_VERSION</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>$KAFKA_VERSION</version>
      <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.4</version>
    </dependency>
  </dependencies>
</project>
END
}

kafka_check() {
    need_version Java 17 'version "([0-9]+)' "$(java -version 2>&1)"
}

kafka_prepare() {
    local folder
    folder=$(service_folder kafka)
    kafka_check
    claim_port kafka
    claim_port kafka controller_port
    need_free_port kafka controller_port
    kafka_configure >"$folder/server.properties"
    kafka_configure_log >"$folder/log4j2.properties"
    [[ -s $folder/data/meta.properties ]] || kafka_format
}

kafka_configure() {
    local port controller
    port=$(port_of kafka)
    controller=$(port_of kafka controller_port)
    cat <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$(service_folder kafka)/data
log.retention.ms=-1
auto.create.topics.enable=false
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# after SIGKILL the broker waits for its former session to end: 9 s by default
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
END
}

kafka_configure_log() {
    cat <<'END'
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %m (%c)%n
# hundreds of lines of settings at every start
logger.config.name = org.apache.kafka.common.config
logger.config.level = WARN
logger.server.name = kafka.server.KafkaConfig
logger.server.level = WARN
END
}

kafka_format() {
    local folder id
    folder=$(service_folder kafka)
    # url-safe base64; a leading dash would read as an option
    id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=' | sed 's/^-/A/')
    rm -rf "$folder/data"
    kafka_java -XX:TieredStopAtLevel=1 kafka.tools.StorageTool format -t "$id" -c "$folder/server.properties" \
        >"$folder/format.log" 2>&1 || {
        tail -n 20 "$folder/format.log" >&2
        fail "the folder of Kafka could not be formatted, see $folder/format.log"
    }
}

kafka_java() {
    java -cp "$KAFKA_JARS/*" "$@"
}

kafka_launch() {
    local folder
    folder=$(service_folder kafka)
    spawn kafka java -Xms128m -Xmx512m -XX:+ExitOnOutOfMemoryError \
        "-Dlog4j2.configurationFile=$folder/log4j2.properties" -cp "$KAFKA_JARS/*" \
        kafka.Kafka "$folder/server.properties"
}

# The broker opens its port as the last step of its start.
kafka_ready() {
    is_listening "$(port_of kafka)"
}

kafka_stop() {
    stop_process kafka TERM
}
