using ColossalChat.Contracts;

namespace ColossalChat.Chat;

/// <summary>Talking with a model in the terminal.</summary>
public sealed class ChatPlugin : IPlugin
{
    /// <inheritdoc/>
    public void Register(IPluginRegistry registry)
    {
        registry.Add<ITerminalChat, TerminalChatOptions>("terminal", (options, node) => new TerminalChat(options, node, new CtrlCKey()));
        registry.Add<ICliCommand, NoOptions>("chat", (_, _) => new ChatCommand());
    }
}
