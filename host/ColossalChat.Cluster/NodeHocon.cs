namespace ColossalChat.Cluster;

/// <summary>Akka settings of a node, beneath the user's and over <see cref="RunHocon.Dispatchers"/>.</summary>
public static class NodeHocon
{
    /// <summary>
    /// HOCON text. A node that is silent is noticed after about 4 s and removed when the picture has not changed for 5 s
    /// more; a majority goes on, and of two nodes the one with the lower address, so that two cannot survive the loss of
    /// that one. Frames are small: what is larger travels through the blob lane, and a mistake fails in the first test.
    /// </summary>
    public const string Settings = """
        akka {
          actor.provider = cluster
          # A process that is started again at the same address must be heard before it is taken for silent.
          remote.retry-gate-closed-for = 1s
          remote.dot-netty.tcp {
            hostname = "127.0.0.1"
            port = 0
            maximum-frame-size = 1MiB
            send-buffer-size = 1MiB
            receive-buffer-size = 1MiB
          }
          cluster {
            downing-provider-class = "Akka.Cluster.SBR.SplitBrainResolverProvider, Akka.Cluster"
            split-brain-resolver {
              active-strategy = keep-majority
              stable-after = 5s
              down-all-when-unstable = off
            }
            # A coordinator that was replaced is kept from writing by the run folder, and not by waiting.
            down-removal-margin = 1s
            allow-weakly-up-members = 1s
            seed-node-timeout = 10s
            shutdown-after-unsuccessful-join-seed-nodes = 120s
            run-coordinated-shutdown-when-down = on
            log-info = off
          }
          coordinated-shutdown {
            exit-clr = off
            run-by-clr-shutdown-hook = off
            phases {
              cluster-sharding-shutdown-region.timeout = 300s
              cluster-exiting.timeout = 300s
              cluster-exiting-done.timeout = 10s
            }
          }
        }
        """;
}
