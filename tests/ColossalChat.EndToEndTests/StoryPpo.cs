namespace ColossalChat.EndToEndTests;

/// <summary>Settings of PPO runs on stories260K that cannot stand in a file: where the data is.</summary>
public static class StoryPpo
{
    /// <summary>Model folders and prompts, then more settings.</summary>
    public static string[] Settings(params string[] more)
    {
        var model = Repository.DataPath("stories260K");
        return
        [
            $"models.policy.path={model}",
            $"models.reference.path={model}",
            $"models.critic.path={model}",
            $"roles.prompts.files=[\"{Repository.DataPath("text", "tinystories.txt")}\"]",
            .. more,
        ];
    }
}
